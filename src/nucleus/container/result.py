"""Result: how a container ended, and what it wrote.  One class for run, exec and once.  ✗ effects."""

from __future__ import annotations

from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..launch.report import ExitRecord
    from ..policy.refusals import Denial


class Result(Value):
    """`exit_code` is what a shell would see: 124 timeout, 128+n signal.  A launch that fails raises LaunchError instead.

    stdout, stderr    what was captured: at most 1 MiB each, head and tail (`truncated` counts the bytes between)
    denials           what was refused: system calls with seccomp_log_denied, and what limits refused
    reason            exit, signal, oom, timeout, owner-lost or host-kill; of a Container also health and failed
    """

    id: str
    exit_code: int
    signal: int = 0
    reason: str = "exit"
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: int = 0
    duration_s: float = 0.0
    oom_kills: int = 0
    memory_peak_bytes: int = 0
    cpu_s: float = 0.0
    degraded: tuple[str, ...] = ()
    denials: tuple[Denial, ...] = ()
    pids_by: str = "cgroup"

    @property
    def ok(self) -> bool:
        """Did it exit with 0?"""
        return self.exit_code == 0

    @property
    def out(self) -> str:
        """stdout as text; undecodable bytes are replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def err(self) -> str:
        """stderr as text; undecodable bytes are replaced."""
        return self.stderr.decode("utf-8", "replace")


def result_of(record: ExitRecord, container_id: str, **more: Any) -> Result:
    """The part of a Result that the exit record knows, and `more` that the caller does."""
    return Result(
        id=container_id, exit_code=record.exit_code, signal=record.signal, reason=record.reason,
        duration_s=(record.finished_ns - record.started_ns) / 1e9, oom_kills=record.oom_kills,
        memory_peak_bytes=record.memory_peak_bytes,
        cpu_s=(record.cpu_us or record.user_us + record.system_us) / 1e6, **more,
    )  # fmt: skip
