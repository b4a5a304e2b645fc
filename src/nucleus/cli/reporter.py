"""`python -I -S reporter.py RECORD ORIGINS-FD PLAN-FD`: says what an exit code does not, after Python was replaced.

The launcher executes it as its last act, with the exit record in hex, when a step failed, memory or time ran out.
✗ nothing happens here but one message.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nucleus.base.errors import NucleusError
    from nucleus.launch.report import ExitRecord
    from nucleus.plan.steps import LaunchPlan


def main(argv: list[str]) -> int:
    """Print the message as the command line would have; return the record's exit code."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from nucleus.launch.report import read_exit
    from nucleus.plan.encode import decode

    ended = read_exit(bytes.fromhex(argv[1]))
    with open(int(argv[2]), encoding="utf-8", errors="surrogateescape") as file:
        file.seek(0)  # the writer left it at the end
        log_format, log_path, os.environ["PATH"], *origins = file.read().split("\n")
    with open(int(argv[3]), "rb") as plan_file:
        plan_file.seek(0)
        plan = decode(plan_file.read())
    return 125 if ended is None else report(ended, plan, origins, log_format, log_path)


def report(
    ended: "ExitRecord", plan: "LaunchPlan", origins: list[str], log_format: str, log_path: str
) -> int:
    """Say what the exit code does not, where there is anything; returns the exit code."""
    from nucleus.cli.errors import render_error

    if ended.exit_code and (ended.failure is not None or ended.reason in ("oom", "timeout")):
        error = _failure(ended, plan, origins) if ended.failure is not None else _limit(ended, plan)
        render_error(error, log_format=log_format, log_path=log_path)
    return ended.exit_code


def _failure(ended: "ExitRecord", plan: "LaunchPlan", origins: list[str]) -> "NucleusError":
    from nucleus.launch.report import launch_error

    failure = ended.failure
    assert failure is not None
    known = failure.step < len(plan.steps)
    step = plan.steps[failure.step] if known else None
    return launch_error(failure, step, origins[failure.step] if known else "", ended.exit_code)


def _limit(ended: "ExitRecord", plan: "LaunchPlan") -> "NucleusError":
    """A container that ran into --timeout or --memory: the workload itself can say nothing of it."""
    from nucleus.base.errors import LimitReached
    from nucleus.base.units import format_bytes, format_duration

    if ended.reason == "timeout":
        timeout = plan.steps_of("supervise")[0]["timeout_ms"]
        message, where = f"ended after {format_duration(int(timeout))}", "--timeout"
        remedy = "give it more time"
    else:
        message = f"out of memory: the kernel killed {ended.oom_kills or 1} of its processes"
        if ended.memory_peak_bytes:
            message += f" at {format_bytes(ended.memory_peak_bytes)}"
        where, remedy = "--memory", "give it more memory"
    return LimitReached(message, where=where, remedy=remedy, exit_code=ended.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
