"""What a host program does with its own signals changes nothing inside."""

from __future__ import annotations

import os
import signal

import pytest
from sandboxes import Boxes


@pytest.mark.parametrize(
    "ignored", [signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name
)
def test_the_exit_code_arrives_where_the_host_ignores_a_signal(boxes: Boxes, ignored: signal.Signals) -> None:
    """An ignored SIGCHLD, for one, survives execve: children of the launcher and of init would end unseen."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            signal.signal(ignored, signal.SIG_IGN)
            code = boxes.run("--", "/bin/sh", "-c", "(exit 3); [ $? = 3 ] && exit 7").exit_code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
