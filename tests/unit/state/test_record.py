"""state.json: what is written is read again, and what somebody else wrote is no record."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import every_row
from texts import CHARACTERS

from nucleus.state.record import ContainerRecord, from_json

RECORD = ContainerRecord(
    id="0" * 32, name="web", labels={"team": "a\udcff\n"}, command=("sh", "-c", "echo 'ü'"), created_ns=1,
    creator_uid=0, boot_id="b", pid_namespace=4026531836, remove=False, mode="agent", network="none",
    rootless=True, uid=1000, gid=1000, uid_map=((0, 100000, 65536),), gid_map=((0, 100000, 65536),),
    capabilities=(), limits={"pids": 512, "memory_bytes": None}, pids_by="cgroup", degraded=("landlock",),
    cgroups=("/sys/fs/cgroup/nucleus-0",), spec_hash="h", config_hash="", spec={"command": ["sh"]},
)  # fmt: skip


def test_a_record_survives_its_file() -> None:
    assert from_json(RECORD.to_json()) == RECORD


@given(
    labels=st.dictionaries(st.text(CHARACTERS), st.text(CHARACTERS), max_size=3),
    command=st.lists(st.text(CHARACTERS), max_size=3),
    lines=st.lists(st.tuples(st.integers(), st.integers(), st.integers()), max_size=2),
)
@settings(max_examples=25, deadline=None)
def test_any_record_survives_its_file(
    labels: dict[str, str], command: list[str], lines: list[tuple[int, int, int]]
) -> None:
    record = RECORD.replace(labels=labels, command=tuple(command), uid_map=tuple(lines))
    assert from_json(record.to_json()) == record


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(RECORD.to_json()), **fields}).encode()


@every_row(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(RECORD.to_json()[:-20], id="cut short"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[" * 200_000, id="nested without end"),
        pytest.param(b"1" * 5000, id="a number without end"),
        pytest.param(changed(version=2), id="another version"),
        pytest.param(changed(surprise=1), id="an unknown field"),
        pytest.param(changed(command=None), id="no command"),
        pytest.param(changed(uid_map=[1, 2]), id="a map that is none"),
        pytest.param(json.dumps({"version": 1}).encode(), id="fields missing"),
    ],
)
def test_what_is_no_record_of_this_version_is_none(data: bytes) -> None:
    assert from_json(data) is None
