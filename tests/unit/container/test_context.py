"""The copy of a context, and the comparison of the two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict
from nucleus.container.inputs import context


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    source, copy = tmp_path / "source", tmp_path / "copy"
    (source / "deep").mkdir(parents=True)
    (source / "a").write_bytes(b"one")
    (source / "deep" / "b\nc").write_bytes(b"two" * 999_999)
    (source / "deep" / "api_secret").write_bytes(b"left out")
    (source / "link").symlink_to("a")
    copy.mkdir()
    return source, copy


def test_a_snapshot_knows_the_files_that_a_context_takes(pair: tuple[Path, Path]) -> None:
    source, copy = pair
    fd, into = opened(source), opened(copy)
    try:
        assert context.copy_context(str(source), into, verify=True) == 3 + 3 * 999_999
        assert context.snapshot(fd) == context.snapshot(into)
        assert set(context.snapshot(fd)) == {"a", "deep/b\nc"}
    finally:
        os.close(fd)
        os.close(into)


def test_a_copy_that_differs_is_refused_with_the_names(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, copy = pair
    copied = context._copy

    def meanwhile(*arguments: object) -> int:
        if (source / "new0").exists():  # of a directory below
            return copied(*arguments)  # type: ignore[arg-type]
        (source / "a").write_bytes(b"ONE")
        for n in range(7):
            (source / f"new{n}").write_bytes(b"")
        (source / "deep" / "b\nc").unlink()
        return copied(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(context, "_copy", meanwhile)
    into = opened(copy)
    try:
        with pytest.raises(Conflict) as caught:
            context.copy_context(str(source), into, verify=True)
    finally:
        os.close(into)
    assert caught.value.where == "--verify-context-integrity"
    for words in ("missing 'deep/b\\nc'", "different 'a'", "new 'new0'", "(7 in all)"):
        assert words in str(caught.value)
