"""argv of `run`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rows import every_row

from nucleus.base.errors import Problem, SpecError
from nucleus.cli.main import HelpWanted
from nucleus.cli.parser import parse_run, read_file
from nucleus.spec.container import ContainerSpec


def parse(*argv: str, **files: bytes) -> ContainerSpec:
    return parse_run(
        list(argv), {"HOME": "/home/ann", "TERM": "x"}, lambda name: files[str(name).partition(".")[0]]
    )


def problems(*argv: str, **files: bytes) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        parse(*argv, **files)
    assert all(p.message and p.remedy for p in caught.value.problems)
    return list(caught.value.problems)


@every_row(
    "argv",
    [
        ["--memory", "512M", "true"], ["--memory=512M", "true"], ["-m", "512M", "true"], ["-m512M", "true"],
        ["-m=512M", "--", "true"], ["--memory", "1G", "--memory", "512M", "true"],
    ],
)  # fmt: skip
def test_a_flag_may_be_spelled_in_these_ways(argv: list[str]) -> None:
    assert parse(*argv).memory_bytes == 512 << 20


def test_options_end_at_the_first_word_that_is_none() -> None:
    assert parse("--rm", "ls", "--memory", "1G").command == ("ls", "--memory", "1G")
    assert parse("--rm", "--", "--rm", "--").command == ("--rm", "--")
    assert parse("-").command == ("-",)


def test_a_lone_flag_takes_a_value_only_after_an_equals_sign() -> None:
    assert parse("--rm", "true").command == ("true",)
    assert parse("--rm=false", "true").rm is False
    assert parse("--allow-degraded-security", "landlock").degraded[0] == "seccomp"
    assert parse("--allow-degraded-security=landlock", "true").degraded == ("landlock",)


def test_repeatable_flags_add_up_and_what_was_written_is_known() -> None:
    spec = parse("-e", "A=1", "-eB=2", "--env=A=3", "-e", "HOME", "--pids", "512", "true")
    assert spec.env == (("A", "3"), ("B", "2"), ("HOME", "/home/ann"))
    assert spec.explicit == ("command", "env", "pids")
    assert spec.wrote("pids") and not spec.wrote("memory")


def test_a_value_may_begin_with_a_dash_but_a_forgotten_one_is_noticed() -> None:
    assert parse("-e", "A=-1", "--label", "-k=v", "true").labels == (("-k", "v"),)
    assert [p.where for p in problems("--memory", "--cpus", "1", "true")] == ["--memory"]
    assert [p.message for p in problems("-m")] == ["needs a value", "no command was given"]


def test_all_problems_of_a_command_line_are_told() -> None:
    found = problems("--memory", "12Q", "--publish", "--swap", "--memroy=1", "--dns", "-z", "--user", "a b")
    assert [(p.where, p.message) for p in found] == [
        ("run", "--publish is not in this release"),
        ("run", "--swap is not an option of nucleus"),
        ("run", "unknown option --memroy"),
        ("run", "--dns is not in this release"),
        ("run", "unknown option '-z'"),
        ("--memory", "'12Q' is not a size"),
        ("--user", "'a b' is neither an id nor a name"),
        ("command", "no command was given"),
    ]
    assert found[2].remedy.endswith("did you mean --memory?")


def test_help_is_asked_for_only_before_the_command() -> None:
    with pytest.raises(HelpWanted):
        parse("--rm", "--help", "true")
    assert parse("true", "--help").command == ("true", "--help")


DOCUMENT = b'command = ["a", "b"]\nmemory = "1G"\npids = 9\nvolume = ["/x:/x"]\n[env]\nA = "doc"\nB = "doc"\n'


def test_a_document_is_the_base_of_the_flags() -> None:
    spec = parse("--volume", "/y:/y", "--config", "base.toml", "-e", "A=flag", "--pids", "7", base=DOCUMENT)
    assert spec.command == ("a", "b")
    assert (spec.memory_bytes, spec.pids) == (1 << 30, 7)
    assert [v.target for v in spec.volumes] == ["/x", "/y"]
    assert dict(spec.env) == {"A": "flag", "B": "doc"}


def test_a_command_replaces_that_of_the_document() -> None:
    assert parse("--config", "base.toml", "--", "c", base=DOCUMENT).command == ("c",)


def test_problems_of_the_document_and_of_the_flags_are_told_together() -> None:
    found = problems("--config", "base.toml", "--cpus", "x", base=b'command=["a"]\npids = -1')
    assert [p.where for p in found] == ["base.toml:2 $.pids", "--cpus"]
    found = problems("--config", "base.toml", "--cpus", "x", base=b"= 1")
    assert [p.where for p in found] == ["base.toml:1", "--cpus"]


def test_one_document_is_enough() -> None:
    assert [p.message for p in problems("--config", "a.toml", "--config-fd", "3")] == ["two launch documents"]


@every_row("number", ["0", "2", "x", "-1", "99999999"])
def test_a_descriptor_that_is_not_inherited_is_not_read(number: str) -> None:
    assert [p.where for p in problems("--config-fd", number, "true")] == ["--config-fd"]


def test_variables_of_a_file_come_before_those_of_flags() -> None:
    content = b"# comment\n\nA=file\nB=x=y \r\nTERM\n"
    spec = parse("-e", "A=flag", "--env-file", "vars.env", "true", vars=content)
    assert dict(spec.env) == {"A": "flag", "B": "x=y ", "TERM": "x"}


def test_a_bad_file_of_variables_is_told_by_line_without_its_values() -> None:
    found = problems(
        "--env-file", "vars.env", "true", vars=b"A=1\nnot a name=hunter2\nABSENT\nLD_AUDIT=hunter2\n"
    )
    assert [p.where for p in found] == ["vars.env:2", "vars.env:3", "vars.env:4"]
    assert "hunter2" not in "".join(p.sentence() for p in found)


def test_bytes_that_are_no_characters_reach_the_command_unchanged() -> None:
    assert parse("cat", "\udcff").command == ("cat", "\udcff")


def test_files_and_descriptors_are_read_up_to_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * (2 << 20))
    assert len(read_file(str(file))) == (1 << 20) + 1
    fd = os.open(file, os.O_RDONLY)
    assert len(read_file(fd)) == (1 << 20) + 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_run(["--config", str(tmp_path / name), "true"], {})
    assert caught.value.where == str(tmp_path / name) and caught.value.remedy


def test_a_descriptor_that_is_closed_is_told() -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        parse_run(["--config-fd", "1000", "true"], {})
