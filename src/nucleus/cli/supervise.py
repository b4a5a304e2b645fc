"""`nucleus supervise ANSWER-FD ORDER-FD`: the supervisor of a detached container.  Nobody types it.

✗ what it does: `container/supervision/supervisor.py`.
"""

from __future__ import annotations

import gc
import json
import os
import socket

from ..base.errors import NucleusError
from ..base.jsontext import dumps
from ..container.one_life import locked
from ..container.running import stored
from ..container.running.handle import Handle
from ..container.supervision.supervisor import Supervisor
from ..launch.signals import Signals
from ..state.store import StateDirectory, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(argv: list[str]) -> int:
    """Answers with the container's id, or an error, when it waits at the gate; stays until its end."""
    if os.fork():
        os._exit(0)  # whoever started this is not kept waiting, and need not see the end of a child
    os.chdir("/")
    gc.enable()  # unlike other commands this one stays
    with Signals() as signals:
        with socket.socket(fileno=int(argv[0])) as answer:
            try:
                order = _order(int(argv[1]))
                known = bool(order["id"])
                supervisor, container_id = _create(order, signals)
            except NucleusError as error:
                said: dict[str, Any] = {
                    "error": error.message,
                    "where": error.where,
                    "remedy": error.remedy,
                    "exit_code": error.exit_code,
                }
                answer.send(dumps(said).encode())
                return error.exit_code
            except Exception as error:  # noqa: BLE001  nobody sees a traceback of this process
                where = traceback_place(error)
                said = {
                    "error": f"the supervisor failed: {type(error).__name__}: {error}",
                    "where": where,
                    "remedy": "this is a defect of nucleus; please report it",
                    "exit_code": 125,
                }
                answer.send(dumps(said).encode())
                return 125
            try:
                answer.send(dumps({"id": container_id}).encode())
            except OSError:
                if not known:
                    supervisor.withdraw()
                    return 125
        try:
            supervisor.run()
        except NucleusError:
            return 125  # `start` tells it, from what the supervisor has written down
    return 0


def traceback_place(error: Exception) -> str:
    """File and line at which it was raised."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return (
        f"{os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}"
        if at is not None
        else "supervisor"
    )


def _order(fd: int) -> dict[str, Any]:
    with open(fd, "rb") as file:
        file.seek(0)
        return dict(json.loads(file.read()))


def _create(order: dict[str, Any], signals: Signals) -> tuple[Supervisor, str]:
    spec = stored.spec_of(order["spec"])
    supervisor = Supervisor(spec, signals, detached="none")
    if not order["id"]:
        return supervisor, supervisor.create()
    store = Store(spec.state_root)
    if order["adopt"]:
        return supervisor, supervisor.adopt(Handle(store, order["id"]))
    try:
        with Handle(store, order["id"]) as handle:
            again = StateDirectory(id=order["id"], fd=locked(handle))
    finally:
        store.close()
    return supervisor, supervisor.create(again, order["created_ns"])
