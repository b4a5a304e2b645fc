"""The option table: one declaration per option, from which everything else derives."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.spec.container import ContainerSpec
from nucleus.spec.document import json_schema, to_document
from nucleus.spec.kinds import PARSERS, parse
from nucleus.spec.later import ELSEWHERE, LATER, LATER_SHORT, refusal
from nucleus.spec.options import BY_FLAG, BY_KEY, BY_SHORT, GROUPS, OPTIONS, Option
from nucleus.spec.parse import TYPES, from_mapping

ALL = [pytest.param(option, id=option.key) for option in OPTIONS]


def test_no_key_flag_or_short_flag_stands_twice() -> None:
    assert len(BY_KEY) == len(OPTIONS)
    assert len(BY_FLAG) == len([o for o in OPTIONS if o.cli])
    assert len(BY_SHORT) == len([o for o in OPTIONS if o.short])


def test_every_field_of_the_spec_is_set_by_an_option_and_the_other_way_round() -> None:
    fields = {o.field for o in OPTIONS if o.field}
    assert fields | {"explicit"} == set(ContainerSpec._fields)


@every_row("option", ALL)
def test_an_option_is_complete(option: Option) -> None:
    assert option.kind in PARSERS
    assert option.group in dict(GROUPS)
    assert option.help and not option.help.endswith(".")
    assert option.since
    assert option.metavar or option.bare is not None
    assert option.example
    assert (option.kind == "choice") == bool(option.choices)


@every_row("option", [p for p in ALL if p.values[0].cli])  # type: ignore[union-attr]
def test_the_example_of_an_option_is_valid(option: Option) -> None:
    parse(option, option.example)


def _typed_default(option: Option) -> object:
    return parse(option, option.default)


@every_row(
    "key",
    [
        "log_format", "service_mode", "rm", "stop_signal", "stop_timeout", "workspace_mode",
        "workspace_exec", "allow_workspace_config", "context_mode", "shm_size", "pids", "network",
        "allow_host_network", "seccomp_profile", "rootfs_mode", "time_namespace", "proc_rw",
        "disable_cgroup_namespace", "verify_context_integrity",
    ],
)  # fmt: skip
def test_the_default_that_is_shown_is_the_one_that_holds(key: str) -> None:
    assert _typed_default(BY_KEY[key]) == getattr(ContainerSpec(), BY_KEY[key].field)


def test_the_schema_covers_every_option() -> None:
    assert set(TYPES) <= set(PARSERS)
    assert set(json_schema()["properties"]) == {o.key for o in OPTIONS if o.document}


def test_defaults_in_the_schema_are_valid_documents() -> None:
    properties = json_schema()["properties"]
    document = {
        key: entry["default"]
        for key, entry in properties.items()
        if "default" in entry
        and not key.startswith(("workspace", "context", "allow_", "verify_", "rootfs", "health_"))
    }
    assert document["stop_signal"] == "TERM"
    spec = from_mapping({"command": ["true"], **document})
    assert to_document(spec)["pids"] == 512


@every_row("key", sorted(LATER | set(ELSEWHERE)))
def test_a_known_name_that_is_no_option_is_refused_by_name(key: str) -> None:
    assert key not in BY_KEY
    error = refusal(key, as_flag=True)
    assert "--" + key.replace("_", "-") in error.message and error.remedy
    with pytest.raises(SpecError, match=key):
        from_mapping({"command": ["true"], key: "x"})


def test_a_name_is_either_for_later_or_said_otherwise() -> None:
    assert not LATER & set(ELSEWHERE)
    assert {flag[2:].replace("-", "_") for flag in LATER_SHORT.values()} <= LATER
