"""The command `vm`: runs one command in a throw-away guest, exits with its status.  ✗ decides nothing else.

Exit status: the command's own; 124 when its time is up, 125 when the guest cannot be had or dies.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.vm.guest import INIT_PARAMETERS, GuestDied, GuestTimeout, Machine, Sink
from tests.vm.images import KERNELS, GuestUnavailable
from tests.vm.session import USERS, Command, run_in_guest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vm", description="Runs COMMAND in a throw-away virtual machine.")
    parser.add_argument("--kernel", choices=KERNELS, default="6.1", help="the guest's kernel (default: 6.1)")
    parser.add_argument(
        "--share", type=Path, metavar="DIR", help="show DIR as /project, a private writable copy"
    )
    parser.add_argument(
        "--user", choices=USERS, default="root", help="root, or dev: uid 1000 with a user manager"
    )
    parser.add_argument(
        "--cwd", metavar="DIR", help="working directory (default: /project when shared, else /)"
    )
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="set a variable")
    parser.add_argument("--out", type=Path, metavar="DIR", help="receives what the command left in /out")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="default: 120")
    parser.add_argument(
        "--append", default="", metavar="PARAMETERS", help="more kernel parameters: lockdown=integrity"
    )
    parser.add_argument("--init", choices=INIT_PARAMETERS, default="systemd", help="bare: no systemd at all")
    parser.add_argument("--memory-mib", type=int, default=1024, metavar="N", help="default: 1024")
    parser.add_argument("--cpus", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--cold", action="store_true", help="boot, instead of resuming a saved guest")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND ARG...")
    return parser


def _write_to(fd: int) -> Sink:
    def write(data: bytes) -> None:
        while data:
            data = data[os.write(fd, data) :]

    return write


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    argv = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not argv:
        parser.error("no command")
    machine = Machine(
        kernel=given.kernel,
        init=given.init,
        append=given.append,
        memory_mib=given.memory_mib,
        cpus=given.cpus,
    )
    command = Command(
        argv=tuple(argv),
        user=given.user,
        cwd=given.cwd,
        env=tuple(given.env),
        share=given.share,
        collect=given.out,
        timeout_s=given.timeout,
    )
    try:
        return run_in_guest(machine, command, out=_write_to(1), err=_write_to(2), cold=given.cold)
    except GuestTimeout as late:
        print(f"vm: {late}", file=sys.stderr)
        return 124
    except (GuestUnavailable, GuestDied) as failure:
        print(f"vm: {failure}", file=sys.stderr)
        return 125
