"""Keeps a terminal whose window was closed, until somebody opens another one or the container ends.

The keeper hands the master itself to whoever attaches, and reads nothing of it meanwhile: what a window shows went through
no third process.  ✗ windows: `console.py`.
"""

from __future__ import annotations

import os
import select
import socket
import struct

from ..base.errors import Conflict
from . import console, report

SOCKET = "attach"  # in the container's directory
_SCROLLBACK = 1 << 15  # bytes shown to who attaches
_CHUNK = 1 << 16
_CREDENTIALS = struct.Struct("iII")


def keep(master: int, control: socket.socket, directory: int, waiting_fd: int) -> None:
    """Until the end of the container.

    directory   where the socket is made; -1 where nobody may attach again
    waiting_fd  of a pipe at whose other end somebody waits until it can be attached to: closed then
    """
    listener = _listener(directory) if directory >= 0 else None
    os.close(waiting_fd)
    window: socket.socket | None = None
    recent = b""
    while True:
        poller = select.poll()
        poller.register(control, select.POLLIN)
        for waiting in (listener, window):
            if waiting is not None:
                poller.register(waiting, select.POLLIN)
        if window is None and master >= 0:
            poller.register(master, select.POLLIN)
        ready = {fd for fd, _ in poller.poll()}
        if control.fileno() in ready:
            data = control.recv(report.MESSAGE.size)
            if not data or report.exit_of(data) is not None:
                return
        if window is not None and window.fileno() in ready:
            window.close()
            window = None
        elif listener is not None and listener.fileno() in ready:
            window = _accept(listener, window, master, recent)
        elif master in ready:
            try:
                recent = (recent + os.read(master, _CHUNK))[-_SCROLLBACK:]
            except BlockingIOError:
                pass
            except OSError:  # nobody inside holds it any more; the end is told by the control socket
                os.close(master)
                master = -1


def _listener(directory: int) -> socket.socket:
    """A socket that only its owner and root can reach: its directory is closed to others."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.unlink(SOCKET, dir_fd=directory)
    except FileNotFoundError:
        pass  # the first window of this life
    listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
    listener.listen(4)
    return listener


def _accept(
    listener: socket.socket, window: socket.socket | None, master: int, recent: bytes
) -> socket.socket | None:
    """The new window where there is none, else the one that is there."""
    connection, _ = listener.accept()
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(peer)
    if window is not None or master < 0 or uid not in (0, os.geteuid()):
        connection.close()  # it reads an end of file
        return window
    try:
        socket.send_fds(connection, [recent or b"\r"], [master])
    except OSError:  # it is gone already
        connection.close()
        return None
    return connection


def keeps_terminal(directory: int) -> bool:
    """Was the terminal of that container left to a keeper?"""
    try:
        os.stat(SOCKET, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_window(directory: int, name: str) -> tuple[int, bytes, socket.socket]:
    """The master, what was shown last, and the connection that stands for the window.

    Raises Conflict where no terminal is kept, or another window is open.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET}")
    except OSError:
        connection.close()
        raise Conflict(
            f"container {name} keeps no terminal", where="nucleus attach",
            remedy="it has none, or its window is open where it was started",
        ) from None  # fmt: skip
    master, recent = console.receive_master(connection)
    if master < 0:
        connection.close()
        raise Conflict(
            f"the terminal of container {name} has a window already", where="nucleus attach",
            remedy="close that one: ctrl-p ctrl-q",
        )  # fmt: skip
    return master, recent, connection
