"""A table as one test loses no row: all are tried, and those that fail are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from rows import every_row


def test_all_rows_are_tried_and_those_that_fail_are_named() -> None:
    tried = []

    @every_row("factor", [1, 2], ids=lambda n: f"times {n}")
    @every_row(
        ("number", "odd"), [(1, True), pytest.param(2, False, id="two"), (3, False)], ids=["one", "", "three"]
    )
    def test(number: int, odd: bool, factor: int) -> None:
        tried.append(number * factor)
        assert bool(number * factor % 2) == odd

    with pytest.raises(BaseExceptionGroup, match="2 rows") as caught:
        test()
    assert tried == [1, 2, 3, 2, 4, 6]
    notes = [error.__notes__ for error in caught.value.exceptions]
    assert notes == [["row: three", "row: times 1"], ["row: one", "row: times 2"]]


def test_a_row_whose_refusal_does_not_come_fails_by_itself() -> None:
    @every_row("text", ["1", "x"])
    def test(text: str) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            int(text)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE") as caught:
        test()
    assert caught.value.__notes__ == ["row: '1'"]


@every_row("name", ["a", "b"])
def test_rows_share_what_a_fixture_gives(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert (tmp_path / "a").exists()
