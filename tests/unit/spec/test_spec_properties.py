"""What holds for every input: nothing but SpecError, and a spec survives being written as a document."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from rows import every_row
from texts import CHARACTERS

from nucleus.base.errors import SpecError
from nucleus.cli.main import HelpWanted
from nucleus.cli.parser import parse_run
from nucleus.spec.container import ContainerSpec
from nucleus.spec.document import to_document
from nucleus.spec.filesystem import Secret, Tmpfs, Volume
from nucleus.spec.options import OPTIONS
from nucleus.spec.parse import document_entries, from_mapping
from nucleus.spec.process import INFINITY, RLIMITS, IdMap, Rlimit
from nucleus.spec.resources import IoLimit

FLAGS = (
    [o.flag for o in OPTIONS if o.cli] + [o.short for o in OPTIONS if o.short] + ["--", "--publish", "-it"]
)
VALUES = [
    "1",
    "1G",
    "a=b",
    "/a:/b:ro",
    "/a",
    "none",
    "host",
    "builtin:strict",
    "0:1:1",
    "true",
    "8:0 rbps=1",
    "",
]

any_word = st.binary(max_size=20).map(lambda b: b.decode("utf-8", "surrogateescape"))
word = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from(VALUES),
    any_word,
    st.tuples(st.sampled_from(FLAGS), st.one_of(any_word, st.sampled_from(VALUES))).map("=".join),
)


def no_file(source: str | int) -> bytes:
    raise SpecError("no such file", where=str(source), remedy="none")


@given(st.lists(word, max_size=8), st.binary(max_size=60))
def test_any_argv_is_a_spec_or_a_refusal(argv: list[str], content: bytes) -> None:
    try:
        spec = parse_run(argv, {"HOME": "/h"}, lambda _: content)
    except HelpWanted:
        assert {"-h", "--help"} & set(argv)
    except SpecError as error:
        assert error.problems and all(p.message and p.remedy for p in error.problems)
    else:
        assert spec.command


@given(st.binary(max_size=200), st.sampled_from(["a.toml", "a.json", "--config-fd 3"]))
def test_any_bytes_are_a_document_or_a_refusal(data: bytes, name: str) -> None:
    try:
        _, problems = document_entries(data, name)
    except SpecError as error:
        problems = list(error.problems)
    assert all(p.where.startswith(name) and p.remedy for p in problems)


leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(CHARACTERS, max_size=8),
    st.sampled_from(VALUES),
    st.binary(),
)
nested = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS, max_size=4), inner, max_size=3)
    ),
)


@given(
    st.dictionaries(
        st.one_of(st.sampled_from([o.key for o in OPTIONS]), st.text(CHARACTERS, max_size=6)),
        nested,
        max_size=5,
    )
)
def test_any_mapping_is_a_spec_or_a_refusal(mapping: dict[str, object]) -> None:
    try:
        from_mapping(mapping, read_file=no_file)
    except SpecError as error:
        assert error.problems and all(p.message and p.remedy for p in error.problems)


name = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,10}", fullmatch=True, alphabet=CHARACTERS)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=10)
source = st.builds(lambda a, b: f"{a}/{b}", st.sampled_from(["/srv", ".", "a=b", "x:y"]), name)
inside = st.builds(lambda a: f"/data/{a}", name)
size = st.integers(1, (1 << 63) - 1)
key = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True, alphabet=CHARACTERS).filter(
    lambda s: not s.startswith("LD_")
)
number = st.integers(1, 10**9)

specs = st.fixed_dictionaries(
    {"command": st.lists(text, min_size=1, max_size=3).map(lambda ws: ("true", *ws))},
    optional={
        "name": name,
        "labels": st.dictionaries(name, text, max_size=2).map(lambda d: tuple(d.items())),
        "env": st.dictionaries(key, text, max_size=2).map(lambda d: tuple(d.items())),
        "rm": st.booleans(),
        "timeout_ms": st.integers(0, 10**9),
        "stop_timeout_ms": st.integers(0, 10**9),
        "stop_signal": st.sampled_from([1, 2, 15, 31, 34, 64]),
        "workdir": inside,
        "user": st.one_of(name.filter(lambda s: "." not in s), st.integers(0, 10**9).map(str)),
        "workspace": st.one_of(source, source.map(lambda s: s + ":ro")),
        "rootfs": source,
        "toolchains": st.lists(source, max_size=2, unique=True).map(tuple),
        "volumes": st.lists(
            st.builds(Volume, source=source, target=inside, read_only=st.booleans()),
            max_size=2, unique_by=lambda v: v.target,
        ).map(tuple),
        "provider_config_ro": st.builds(
            Volume, source=source, target=name.map(lambda n: f"/home/agent/{n}"), read_only=st.just(True)
        ).map(lambda v: (v,)),
        "tmpfs": st.builds(Tmpfs, target=st.just("/scratch"), size_bytes=size, read_only=st.booleans()).map(
            lambda t: (t,)
        ),
        "secrets": st.builds(
            Secret, source=source, target=name.map(lambda n: f"/run/secrets/{n}")
        ).map(lambda s: (s,)),
        "shm_size_bytes": size,
        "memory_bytes": size,
        "cpu_quota_us": st.integers(1000, 10**8),
        "cpu_weight": st.integers(1, 10_000),
        "pids": st.integers(0, 4_194_304),
        "io_limits": st.builds(
            IoLimit, major=st.integers(0, 4095), minor=st.integers(0, 1 << 19), rbps=number, wiops=number
        ).map(lambda limit: (limit,)),
        "ulimits": st.builds(
            Rlimit, name=st.sampled_from([n for n in RLIMITS if n != "memlock"]),
            soft=st.integers(16, 25), hard=st.one_of(st.integers(26, 99), st.just(INFINITY)),
        ).map(lambda r: (r,)),
        "seccomp_profile": st.sampled_from(["default", "strict"]),
        "degraded": st.sampled_from([("landlock",), ("seccomp", "cgroup")]),
        "userns": st.sampled_from(["keep-id", "auto", "nomap"]),
    },
)  # fmt: skip


@given(specs)
def test_a_spec_survives_being_written_as_a_document(fields: dict[str, object]) -> None:
    spec = ContainerSpec(**fields)  # type: ignore[arg-type]
    document = json.loads(json.dumps(to_document(spec)))
    read = from_mapping(document)
    assert read.replace(explicit=()) == spec
    assert from_mapping(to_document(read)) == read


@every_row(
    "argv",
    [
        ["-e", "A=1", "--memory", "1G", "--pids", "512", "true"],
        ["--workspace", "w:ro", "-u", "1:2", "--", "a", "-b"],
        ["--uidmap", "0:1:1", "--gidmap", "0:5:1", "--allow-degraded-security", "x"],
        ["--secret", "./a=b:c/d", "--network", "host", "--allow-host-network", "x"],
        ["--env-file", "f", "x"],
    ],
)
def test_a_command_line_survives_being_written_as_a_document(argv: list[str]) -> None:
    spec = parse_run(argv, {}, lambda _: b"A=1\n")
    assert from_mapping(to_document(spec)) == spec


def test_id_maps_survive_too() -> None:
    lines = (IdMap(container=0, host=1, count=2), IdMap(container=2, host=9, count=1))
    spec = ContainerSpec(command=("x",), uidmap=lines, gidmap=lines)
    assert from_mapping(to_document(spec)).uidmap == lines
