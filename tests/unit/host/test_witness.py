"""A witness hears everything that the facts are made of.  ✗ that each answer counts: tests/unit/container/test_again.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nucleus.host import probe, witness


def test_everything_that_the_probe_opens_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the calls that read the machine, those of the module `os` are heard: none goes past the witness."""
    seen = witness.Witness()
    done: list[tuple[str, str]] = []
    for name in ("open", "lstat", "readlink", "listdir", "access", "getxattr", "stat"):
        real = getattr(os, name)

        def heard(path: Any, *more: Any, name: str = name, real: Any = real, **named: Any) -> Any:
            done.append((name, str(path)))
            return real(path, *more, **named)

        monkeypatch.setattr(os, name, heard)
    probe.with_subordinate_ids(probe.probe(machine=seen), seen)
    looked = {look[1] for look in seen.looks}
    # What only the launcher knows is kept by boot, kernel and launcher; all of these are looked at.
    beside = {"nucleus-facts", "nucleus-launch", "fd"}
    assert {path for _, path in done if path.rpartition("/")[2] not in beside} <= looked
    assert len(done) > 40


def test_the_same_looks_have_the_same_answers_in_another_process(tmp_path: Path) -> None:
    seen = witness.Witness()
    probe.probe(machine=seen)
    assert witness.answers_now(seen.looks) == seen.digest()
    code = f"from nucleus.host.witness import answers_now; print(answers_now({seen.looks!r}))"
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=paths)
    assert done.stdout.strip() == seen.digest()


def test_who_changes_while_he_is_looked_at_is_no_witness(tmp_path: Path) -> None:
    seen = witness.Witness()
    seen.look("status", str(tmp_path / "file"))
    assert seen.repeatable
    (tmp_path / "file").touch()
    seen.look("status", str(tmp_path / "file"))
    assert not seen.repeatable


def test_a_program_that_was_asked_is_no_witness(tmp_path: Path) -> None:
    seen = witness.Witness()
    seen.output(["/nowhere/at/all"])
    assert not seen.repeatable
