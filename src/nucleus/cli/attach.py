"""`nucleus attach CONTAINER`: a window for its terminal, or what it prints.  ✗ who keeps it (`launch/console_keeper.py`)."""

from __future__ import annotations

import sys
import time

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.running.handle import Handle

HELP = """usage: nucleus attach [--no-stdin] [--root DIR] CONTAINER

Open a window for the terminal of a container that was left with ctrl-p ctrl-q,
or started with -d -t; those keys leave it again. Where the container has no
terminal, what it prints from now on is shown. The exit code is that of the
container, or 0 when the window was left.

  --no-stdin  only show; what is typed is not passed on
  --root DIR  the state root
"""
_WAIT_S = 5.0  # from the end of a terminal to the exit record, where nobody is left to write it


def main(argv: list[str]) -> int:
    """The container's exit code."""
    from ..container.running.handle import resolve
    from ..container.running.inventory import open_store
    from ..launch.console_keeper import keeps_terminal
    from ..observe.frames import has_log
    from .arguments import Arguments

    given = Arguments(argv, flags={"--no-stdin": "show"}, values=("--root",), help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 1:
        what = "one container, please" if given.words else "which container?"
        raise SpecError(what, where="nucleus attach", remedy="nucleus ps lists them")
    store = open_store(given.values.get("--root", ""))
    try:
        with resolve(store, given.words[0]) as handle:
            handle.require("attach")
            if not keeps_terminal(handle.fd) and has_log(handle.fd):
                return _follow(handle)
            return _window(handle, keyboard=not given.has("show"))
    finally:
        store.close()


def _window(handle: Handle, *, keyboard: bool) -> int:
    import os

    from ..container.running.events import note
    from ..container.terminal import require_terminal
    from ..launch.console import Relay, write_all
    from ..launch.console_keeper import open_window

    require_terminal(keyboard=keyboard, where="nucleus attach")
    master, recent, connection = open_window(handle.fd, handle.name)
    with connection:
        note(handle.store, handle.record, "attached")
        write_all(1, recent)
        outcome = Relay(master, keyboard=keyboard).run()
        os.close(master)
    if outcome.detached:
        note(handle.store, handle.record, "detached")
        return 0
    return _ended(handle)


def _follow(handle: Handle) -> int:
    """What it prints from now on; its log knows no terminal, so nothing can be typed."""
    from ..container.running.logs import container_logs, selection
    from .logs import print_lines

    print_lines(container_logs(handle, selection(tail=0), follow=True), timestamps=False, at_once=True)
    return _ended(handle)


def _ended(handle: Handle) -> int:
    from ..base.errors import NotFound
    from ..state.store import is_locked
    from .main import EXIT_USAGE

    deadline = time.monotonic() + _WAIT_S
    try:
        while handle.refresh().ended is None and (is_locked(handle.fd) or time.monotonic() < deadline):
            time.sleep(0.01)
    except NotFound:
        pass  # --rm: its directory is gone, and with it how it ended
    if handle.ended is None:
        sys.stderr.write("nucleus: the container has ended; its exit code was not kept\n")
        return EXIT_USAGE
    return handle.ended.exit_code
