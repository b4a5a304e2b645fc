"""A table as one test: every row is tried, and each that fails is told by name.  ✗ knows no table.

`pytest.mark.parametrize` makes a test of each row, which costs milliseconds (each worker collects all of them, sets them
up and reports on them) where a row of values takes microseconds.  It is right where a row needs something for itself, such
as a folder: rows share what fixtures give.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Ids = Callable[[Any], object] | Iterable[object] | None
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 100


class RowsFailed(BaseExceptionGroup):
    """More than one row of a table."""


def every_row(
    names: str | tuple[str, ...], table: Iterable[Any], ids: Ids = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a test each row of the table, under these names; takes what `pytest.mark.parametrize` takes."""
    columns = (names,) if isinstance(names, str) else names
    rows = [row if hasattr(row, "marks") else _param(row, len(columns)) for row in table]
    assert rows, "a table without a row proves nothing"
    if ids is not None and not callable(ids):
        rows = [pytest.param(*row.values, id=str(name)) for row, name in zip(rows, ids, strict=True)]
    shown = ids if callable(ids) else SHORT.repr

    def over_all(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)
        others = signature.replace(
            parameters=[p for n, p in signature.parameters.items() if n not in columns]
        )

        @functools.wraps(test)
        def tries_every_row(*args: Any, **kwargs: Any) -> None:
            given = others.bind(*args, **kwargs).arguments
            failed: list[BaseException] = []
            for row in rows:
                try:
                    test(**given, **dict(zip(columns, row.values, strict=True)))
                except RowsFailed as errors:  # of another table: a test may have several
                    failed += [_noted(error, row, shown) for error in errors.exceptions]
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised when all were tried
                    failed.append(_noted(error, row, shown))
            if len(failed) == 1:
                raise failed[0]
            if failed:
                raise RowsFailed(f"{len(failed)} rows", failed)

        tries_every_row.__signature__ = others  # type: ignore[attr-defined]
        return tries_every_row

    return over_all


def _param(row: Any, width: int) -> Any:
    return pytest.param(*row) if width > 1 else pytest.param(row)


def _noted(error: BaseException, row: Any, shown: Callable[[Any], object]) -> BaseException:
    error.add_note(f"row: {row.id or ', '.join(str(shown(value)) for value in row.values)}")
    return error
