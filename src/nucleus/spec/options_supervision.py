"""What watches over a container while it lives: a part of the table of options (`options.py`).

Data only.  ✗ no rule between options (`rules.py`).
"""

from __future__ import annotations

from .option import Option

SUPERVISION: tuple[Option, ...] = (
    Option(
        key="restart", field="restart", kind="restart", group="supervision", metavar="POLICY", default="no",
        example="on-failure:5",
        help="start the command again when it has ended: no; on-failure[:N], after an exit code other than 0, at "
        "most N times in a row; always; unless-stopped. `nucleus stop` ends it for good; pauses grow from 100 ms "
        "to 1 min, and begin anew after 10 s of health",
    ),
    Option(
        key="health_cmd", field="health_cmd", kind="command", group="supervision", metavar="COMMAND",
        example="pg_isready -q",
        help="a command line for /bin/sh, run inside as the workload again and again: exit code 0 says that the "
        "container is healthy",
    ),
    Option(
        key="health_interval", field="health_interval_ms", kind="interval", group="supervision", metavar="TIME",
        unit="seconds", default="30s", example="10s",
        help="time from one health check to the next",
    ),
    Option(
        key="health_timeout", field="health_timeout_ms", kind="interval", group="supervision", metavar="TIME",
        unit="seconds", default="5s", example="2s",
        help="a health check that takes longer has failed",
    ),
    Option(
        key="health_retries", field="health_retries", kind="retries", group="supervision", metavar="N",
        default="3", example="5",
        help="as many failed checks in a row make it unhealthy",
    ),
    Option(
        key="health_start_period", field="health_start_period_ms", kind="duration", group="supervision",
        metavar="TIME", unit="seconds", default="5s", example="1m",
        help="failed checks do not count for so long after the start, unless one has succeeded",
    ),
    Option(
        key="health_on_failure", field="health_on_failure", kind="choice", group="supervision",
        metavar="ACTION", default="kill", choices=("kill", "restart", "none"), example="restart",
        help="what happens to an unhealthy container: kill asks it to end, and --restart decides on; restart "
        "starts it again whatever --restart says; none only tells of it",
    ),
    Option(
        key="readiness_exec", field="readiness_exec", kind="command", group="supervision", metavar="COMMAND",
        example="test -e /tmp/ready",
        help="the container is ready when this command line, run inside as the workload, has exit code 0; tried "
        "each second, at most 60 times",
    ),
    Option(
        key="readiness_tcp", field="readiness_tcp", kind="port", group="supervision", metavar="PORT", default="",
        example="8080",
        help="the container is ready when this port of its own 127.0.0.1 takes connections; tried each second, at "
        "most 60 times",
    ),
    Option(
        key="readiness_sd_notify", field="readiness_sd_notify", kind="flag", group="supervision", default="false",
        example="true", bare="true",
        help="the container is ready when it says so: READY=1 to the socket $NOTIFY_SOCKET (sd_notify(3)), within "
        "60 s",
    ),
    Option(
        key="sd_notify", field="sd_notify", kind="flag", group="supervision", default="false", example="true",
        bare="true",
        help="tell the manager that started nucleus (Type=notify): READY when the container is ready or says so, "
        "STATUS, WATCHDOG and STOPPING as the container says them to its own $NOTIFY_SOCKET",
    ),
    Option(
        key="hooks", field="hooks", kind="path", group="supervision", metavar="FILE", example="hooks.json",
        help="run programs at points of the container's life: a JSON object as in the OCI runtime specification, with "
        "createRuntime (or prestart), createContainer, startContainer, poststart and poststop",
    ),
)  # fmt: skip
