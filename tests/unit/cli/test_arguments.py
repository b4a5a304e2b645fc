"""Words of the small verbs: flags, values, and short ones in one word."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.cli.arguments import Arguments

FLAGS = {"-f": "follow", "--follow": "follow", "-t": "times"}
VALUES = ("-n", "--tail")


def parse(*argv: str) -> Arguments:
    return Arguments(list(argv), flags=FLAGS, values=VALUES, help_text="usage: nucleus logs CONTAINER\n")


@every_row(
    ("argv", "value", "follows"),
    [
        (["-n", "5", "web"], "5", False),
        (["-n5", "web"], "5", False),
        (["-n=5", "web"], "5", False),
        (["-fn5", "web"], "5", True),
        (["web", "-tfn", "5"], "5", True),
        (["-n", "-1", "web"], "-1", False),
        (["-n-1", "web"], "-1", False),
        (["--follow", "--", "web"], None, True),
    ],
)
def test_short_options_may_stand_in_one_word(argv: list[str], value: str | None, follows: bool) -> None:
    given = parse(*argv)
    assert (given.values.get("-n"), given.has("follow"), given.words) == (value, follows, ["web"])


@every_row(
    ("argv", "says"),
    [
        (["-fx"], "unknown option"),
        (["-xn5"], "unknown option"),
        (["-fn"], "a value is missing"),
        (["--n5"], "unknown option"),
    ],
)
def test_what_is_none_of_them_is_refused(argv: list[str], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse(*argv)
