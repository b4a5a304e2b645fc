"""copy-in-out: what a run changed reaches the workspace, and nothing else does; kills at every step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from workspace_trees import ASIDE, Pair, Tree, change, read

# The merge knows no container; that of a user differs from root's in rights alone.
pytestmark = pytest.mark.identity("root", "user")
PATHS = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "c\nn"]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "append", "mkdir", "remove", "rename", "link", "symlink", "chmod", "fifo"]),
        st.sampled_from(PATHS),
        st.sampled_from(PATHS),
    ),
    max_size=8,
)
START = [
    ("mkdir", "d", ""), ("mkdir", "d/e", ""), ("write", "a", "1"), ("write", "d/a", "2"), ("write", "d/e/a", "3"),
    ("symlink", "d/b", "a"), ("link", "a", "c\nn"),
]  # fmt: skip


def related(path: str, others: set[str]) -> bool:
    """Does one of them lie at, above or below the path?"""
    return any(
        other == path or other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in others
    )


def judge(base: Tree, host: Tree, stage: Tree, final: Tree, conflicts: set[str], aside: Tree) -> None:
    """The promises, path by path, against the simplest words for them."""
    here = {p for p in {*base, *host} if host.get(p) != base.get(p)}
    # The run never saw them, and may not remove them with the directory that they lie in.
    in_the_way = here | {p for p, kind in host.items() if kind == ("other",)}
    for path in {*base, *host, *stage, *final}:
        b, h, s, f = base.get(path), host.get(path), stage.get(path), final.get(path)
        if s == b:
            assert f == h, f"{path!r}: the run left it alone"
        elif s == ("other",):
            assert f == h or h == b, f"{path!r}: what is no file stays in the stage"
        elif h != b:
            assert f == h, f"{path!r}: the host's own change stays"
            assert s == h or path in conflicts, f"{path!r}: both changed it, and nobody was told"
        else:
            assert f == s or (path in conflicts and related(path, in_the_way)), (
                f"{path!r}: the run's change is lost"
            )
        if path in conflicts and s is not None and s[0] != "other":
            kept = aside[path]
            assert kept[0] == s[0] and (s[0] == "directory" or kept == s), f"{path!r}: kept beside"


@example(
    before=[], inside=[("chmod", "a", "a")], here=[("rename", "a", "b")]
)  # a and another name share an inode
@example(
    before=[("remove", "d/a", "a"), ("fifo", "d/a", "a")], inside=[("remove", "d", "a")], here=[]
)  # the run removes a directory with a pipe in it, which is not copied
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=OPERATIONS, inside=OPERATIONS, here=OPERATIONS)
def test_any_two_histories_merge_as_promised(
    before: list[tuple[str, ...]], inside: list[tuple[str, ...]], here: list[tuple[str, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        for operation in [*START, *before]:
            change(pair.work, operation)
        pair.copy_in()
        base = {p: v for p, v in read(pair.work).items() if v != ("other",)}
        assert read(pair.stage) == base
        hidden = {p for p, v in read(pair.work).items() if v == ("other",)}
        for operation in inside:
            change(pair.stage, operation)
        for operation in here:
            change(pair.work, operation)
        host, stage = read(pair.work), read(pair.stage)
        base |= {p: ("other",) for p in hidden if host.get(p) == ("other",) and p not in stage}
        stage |= {p: ("other",) for p in hidden if host.get(p) == ("other",) and p not in stage}
        outcome = pair.apply()
        final, aside = pair.final(), read(pair.work / ASIDE) if (pair.work / ASIDE).exists() else {}
        judge(base, host, stage, final, {p for p, _ in outcome.conflicts}, aside)
        again = pair.apply()
        assert again.applied == () and pair.final() == final
        assert not list(pair.work.glob(".nucleus-*"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(inside=OPERATIONS)
def test_where_nobody_else_changed_anything_the_workspace_becomes_the_stage(
    inside: list[tuple[str, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        for operation in START:
            change(pair.work, operation)
        pair.copy_in()
        for operation in inside:
            change(pair.stage, operation)
        others = {p for p, v in read(pair.stage).items() if v == ("other",)}
        outcome = pair.apply()
        assert outcome.conflicts == () and set(outcome.left_out) == others
        if not others:
            assert pair.final() == read(pair.stage)


# ---- kills ----

_MUTATING = ("mkdir", "rmdir", "unlink", "rename", "link", "symlink", "fchmod", "chmod", "fchown", "pwrite")
_KILLED = 77


def killed_at(pair: Pair, number: int) -> bool:
    """Apply in a child that is gone, without a word, before its n-th change; False when it came to the end."""
    child = os.fork()
    if child == 0:
        left = number

        def counted(call):  # type: ignore[no-untyped-def]
            def instead(*arguments, **options):  # type: ignore[no-untyped-def]
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(_KILLED)
                return call(*arguments, **options)

            return instead

        from nucleus.container.workspace import apply as workspace_apply

        workspace_apply._rename = counted(workspace_apply._rename)
        for name in _MUTATING:
            setattr(os, name, counted(getattr(os, name)))
        try:
            pair.apply()
        except Exception:  # noqa: BLE001 - the child must end here, whatever it met
            os._exit(3)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, _KILLED)
    return status == _KILLED


def history(pair: Pair) -> None:
    """Every kind of change: new, changed, removed, of another kind, linked, and in conflict."""
    for operation in [
        *START,
        ("mkdir", "f", ""),
        ("write", "f/x", ""),
        ("mkdir", "g", ""),
        ("write", "h", ""),
    ]:
        change(pair.work, operation)
    pair.copy_in()
    for operation in [
        ("write", "a", "changed"), ("remove", "d/e", ""), ("mkdir", "n", ""), ("mkdir", "n/m", ""),
        ("write", "n/m/x", "new"), ("link", "n/m/x", "n/y"), ("symlink", "n/s", "m"), ("remove", "f", ""),
        ("write", "f", "a file now"), ("remove", "g", ""), ("remove", "h", ""), ("mkdir", "h", ""),
        ("write", "h/in", "deep"), ("chmod", "d", ""), ("write", "d/a", "run"),
    ]:  # fmt: skip
        change(pair.stage, operation)
    (pair.stage / "n" / "m").chmod(0o555)
    for operation in [("write", "d/a", "host"), ("write", "d/e/mine", "host"), ("write", "own", "host")]:
        change(pair.work, operation)


def test_killed_before_any_step_and_done_again_it_comes_to_the_same_end(tmp_path: Path) -> None:
    whole = Pair(tmp_path / "whole")
    history(whole)
    outcome = whole.apply()
    wanted, aside = whole.final(), read(whole.work / ASIDE)
    assert {p for p, _ in outcome.conflicts} == {"d/a", "d/e"}
    assert wanted["own"] == wanted["d/e/mine"] and wanted["d/a"][2] == b"host!"
    assert (whole.work / "n/y").stat().st_ino == (whole.work / "n/m/x").stat().st_ino
    for number in range(500):
        pair = Pair(tmp_path / "cut")
        history(pair)
        if not killed_at(pair, number):
            assert number > 30
            return
        pair.apply()
        assert (pair.final(), read(pair.work / ASIDE)) == (wanted, aside), f"killed before change {number}"
        (pair.stage / "n" / "m").chmod(0o755)
    pytest.fail("it never came to its end")
