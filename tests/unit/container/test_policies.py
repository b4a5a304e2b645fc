"""Policy files as files: what is opened, what is hashed, what nobody waits for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from nucleus.base.errors import SpecError
from nucleus.container.inputs import policies
from nucleus.host.probe import probe
from nucleus.spec.container import ContainerSpec

PROFILE = (
    b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ALLOW"}]}'
)
KINDS = (
    ("seccomp_profile", PROFILE),
    ("landlock_policy", b'[[rules]]\npath = "/usr"\naccess = ["read"]\n'),
    ("caps_policy", b'[ambient]\nkeep = ["CHOWN"]\n'),
)


def load(**fields: str) -> object:
    return policies.load(ContainerSpec(command=("true",), **fields), probe())


@pytest.mark.parametrize(("key", "data"), KINDS)
def test_the_hash_is_that_of_the_bytes_that_are_parsed(key: str, data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "policy"
    file.write_bytes(data)
    right = hashlib.sha256(data).hexdigest()
    load(**{key: str(file), f"{key}_sha256": right})
    file.write_bytes(data + b"\n")
    with pytest.raises(SpecError, match="is not what was meant") as caught:
        load(**{key: str(file), f"{key}_sha256": right})
    assert caught.value.where == f"--{key.replace('_', '-')}-sha256"
    with pytest.raises(SpecError, match="is not what was meant"):
        file.write_bytes(b"\xff not even a policy")  # judged by its hash, before anybody parses it
        load(**{key: str(file), f"{key}_sha256": right})


@pytest.mark.parametrize(("key", "data"), KINDS)
def test_a_link_leads_to_the_file_it_names(key: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(data)
    (tmp_path / "link").symlink_to("real")
    load(**{key: str(tmp_path / "link")})


@pytest.mark.parametrize(("key", "data"), KINDS)
def test_nobody_waits_for_a_pipe_and_nobody_reads_a_device(key: str, data: bytes, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(SpecError, match="is not a regular file"):
            load(**{key: str(path)})
    with pytest.raises(SpecError, match="cannot be opened"):
        load(**{key: str(tmp_path / "missing")})


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as huge:
        huge.truncate(1 << 40)
    with pytest.raises(SpecError, match="larger than 1M"):
        load(seccomp_profile=str(file))


def test_a_policy_may_be_given_for_each_layer_at_once(tmp_path: Path) -> None:
    fields = {}
    for key, data in KINDS:
        (tmp_path / key).write_bytes(data)
        fields[key] = str(tmp_path / key)
    found = load(**fields)
    assert isinstance(found, policies.Policies)
    assert found.filter and found.landlock and found.capabilities and found.kept_names == ("CAP_CHOWN",)
