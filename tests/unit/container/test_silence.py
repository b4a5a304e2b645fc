"""A launcher that ended without a word: what it is asked then, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus.container import silence
from nucleus.plan import schema


@pytest.mark.parametrize(
    ("script", "says", "remedy"),
    [
        pytest.param(f"echo plan={schema.SCHEMA_HASH}", "without a word", "run it again", id="it was killed"),
        pytest.param("echo plan=1", "of another version", "make build", id="other plans"),
        pytest.param("echo landlock_abi=7", "of another version", "make build", id="older than the question"),
        pytest.param("exit 1", "does not answer", "make build", id="no answer"),
    ],
)
def test_what_is_told_is_what_the_launcher_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str, remedy: str
) -> None:
    (tmp_path / "launcher").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "launcher").chmod(0o755)
    monkeypatch.setattr(silence, "PROGRAM", str(tmp_path / "launcher"))
    error = silence.silent("0123456789abcdef")
    assert says in error.message and remedy in error.remedy and error.where
