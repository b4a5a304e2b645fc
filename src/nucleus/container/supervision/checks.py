"""The checks of one life of a container: readiness first, then health, one at a time.

✗ what follows from a bad one: `supervisor.py`.  ✗ how one is made: `probe.py`.
"""

from __future__ import annotations

from . import health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...spec.container import ContainerSpec
    from .health import Health
    from .probe import Probe

    # (a command line, or "" for the port, how long it may take) → a probe.
    Start = Callable[[str, int], Probe]

READY_TRIES, READY_GAP_MS = 60, 1_000
_READY_TIMEOUT_MS = {True: 5_000, False: 3_000}  # of a command; of a connection


class Checks:
    """Times are milliseconds since the command was executed.

    ready      the readiness probe has succeeded, or there is none
    given_up   why readiness was given up
    health     where it stands; None before it is ready, and without a health check
    """

    __slots__ = (
        "_base_ms", "_check", "_due_ms", "_dying", "_expires_ms", "_is_paused", "_spec", "_start", "_tries",
        "given_up", "health", "probe", "ready",
    )  # fmt: skip

    def __init__(self, spec: ContainerSpec, start: Start, is_paused: Callable[[], bool]) -> None:
        self._spec, self._start, self._is_paused = spec, start, is_paused
        self._check = health.Check(
            interval_ms=spec.health_interval_ms,
            retries=spec.health_retries,
            start_period_ms=spec.health_start_period_ms,
        )
        self.given_up = ""
        self.health: Health | None = None
        self.probe: Probe | None = None
        self._dying: list[Probe] = []
        self._tries = self._due_ms = self._expires_ms = self._base_ms = 0
        self.ready = False
        if spec.readiness_sd_notify:
            self._due_ms = READY_TRIES * READY_GAP_MS
        elif not spec.readiness_exec and not spec.readiness_tcp:
            self.become_ready(0)

    def become_ready(self, now_ms: int) -> None:
        """From now on its health counts."""
        self.ready, self._base_ms = True, now_ms
        if self._spec.health_cmd:
            self.health = health.at_start(self._check)
            self._due_ms = now_ms + self.health.due_ms

    @property
    def next_ms(self) -> int | None:
        """When `step` has something to do; None: never again."""
        if self.probe is not None:
            return self._expires_ms
        return None if self.given_up or (self.ready and self.health is None) else self._due_ms

    def step(self, now_ms: int) -> bool:
        """Begin what is due, take what has come; whether anything is known that was not."""
        self._dying = [p for p in self._dying if not p.reap()]
        probe = self.probe
        if probe is None:
            if self.next_ms is None or now_ms < self.next_ms:
                return False
            if not self.ready and self._spec.readiness_sd_notify:
                self.given_up = f"it did not say READY=1 within {self._due_ms // 1000} s"
                return True
            if self._is_paused():
                self._put_off(now_ms)
                return False
            timeout = self._timeout_ms()
            command = self._spec.health_cmd if self.ready else self._spec.readiness_exec
            probe = self.probe = self._start(command, timeout)
            self._expires_ms = now_ms + timeout
        if not probe.outcome and now_ms >= self._expires_ms:
            probe.expire(f"it took longer than {self._timeout_ms() / 1000:g} s")
        if not probe.outcome:
            return False
        self.probe = None
        self._dying.append(probe)
        if probe.outcome != health.PASSED and self._is_paused():
            self._put_off(now_ms)  # it was paused while the check ran
            return False
        if self.ready:
            self._learn_health(probe, now_ms)
        else:
            self._learn_readiness(probe, now_ms)
        return True

    def close(self) -> None:
        """The life is over: nothing is asked any more."""
        if self.probe is not None:
            self.probe.close()
            self._dying.append(self.probe)
            self.probe = None
        self._dying = [p for p in self._dying if not p.reap()]

    def _put_off(self, now_ms: int) -> None:
        """It is paused: that is neither well nor ill."""
        self._due_ms = now_ms + (self._spec.health_interval_ms if self.ready else READY_GAP_MS)

    def _timeout_ms(self) -> int:
        return (
            self._spec.health_timeout_ms if self.ready else _READY_TIMEOUT_MS[bool(self._spec.readiness_exec)]
        )

    def _learn_health(self, probe: Probe, now_ms: int) -> None:
        assert self.health is not None
        since = now_ms - self._base_ms
        self.health = health.after(self._check, self.health, probe.outcome, since, probe.error)
        self._due_ms = self._base_ms + self.health.due_ms

    def _learn_readiness(self, probe: Probe, now_ms: int) -> None:
        self._tries += 1
        if probe.outcome == health.PASSED:
            self.become_ready(now_ms)
        elif probe.outcome == health.BROKEN:
            self.given_up = probe.error
        elif self._tries >= READY_TRIES:
            self.given_up = f"{self._tries} tries failed, the last one: {probe.error}"
        self._due_ms = now_ms + READY_GAP_MS if not self.ready else self._due_ms
