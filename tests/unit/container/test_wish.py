"""What `Container.exec` is asked for is judged before the container is looked for, by the rules of `run`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.container.container import Container
from nucleus.container.reuse.saved import SavedPlan
from nucleus.container.running.enter import Wish
from nucleus.container.running.inside import wish_of
from nucleus.sandbox import run

NOBODYS = Container("0" * 32, root="/proc/no-such-root")


def test_a_plain_command_is_taken_as_it_is() -> None:
    assert wish_of(["echo", "ä b"], env={}, workdir="", user="", timeout="") == Wish(command=("echo", "ä b"))


def test_options_have_the_words_of_run() -> None:
    found = wish_of(["env"], env={"A": "1", "B": "x=y"}, workdir="/tmp/", user="1000:7", timeout="1m")
    assert found == Wish(
        command=("env",), env=(("A", "1"), ("B", "x=y")), directory="/tmp", user="1000", group="7",
        timeout_ms=60_000,
    )  # fmt: skip


@every_row(
    ("command", "options", "told"),
    [
        ([], {}, "no command"),
        ([""], {}, "name of the program is empty"),
        ("echo", {}, "is one string"),
        (["echo", "a\0b"], {}, "NUL"),
        (["echo", "\ud800"], {}, "no character"),
        (["echo", 1], {}, "must be a string"),
        (["env"], {"env": {"": "1"}}, "name of the variable"),
        (["env"], {"env": {"A=B": "1"}}, "would end the name"),
        (["env"], {"env": {"A": "1\0B=2"}}, "NUL"),
        (["env"], {"env": {"A": 1}}, "must be a string"),
        (["pwd"], {"workdir": "tmp"}, "not absolute"),
        (["pwd"], {"workdir": "/tmp/.."}, "contains '..'"),
        (["id"], {"user": "a b"}, "neither an id nor a name"),
        (["true"], {"timeout": "soon"}, "not a duration"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_else(
    command: object, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpecError) as caught:
        NOBODYS.exec(command, **options)  # type: ignore[arg-type]
    assert told in str(caught.value)


@pytest.mark.parametrize("call", [run, Container.create, SavedPlan.compile])
def test_one_string_is_no_command(call: Callable[..., object]) -> None:
    with pytest.raises(SpecError, match="is one string, but must be a list of words"):
        call("echo hello")
