"""`python -I -S reporter.py RECORD ORIGINS-FD PLAN-FD`: says why a launch failed, after Python was replaced.

The launcher executes it as its last act, with the failure record in hex.  ✗ nothing happens here but one message.
"""

import os
import sys


def main(argv: list[str]) -> int:
    """Print the error as the command line would have; return its exit code."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from nucleus.cli.errors import render_error
    from nucleus.launch.report import launch_error, read_failure
    from nucleus.plan.encode import decode

    failure = read_failure(bytes.fromhex(argv[1]))
    with open(int(argv[2]), encoding="utf-8") as file:
        file.seek(0)  # the writer left it at the end
        log_format, log_path, *origins = file.read().split("\n")
    with open(int(argv[3]), "rb") as plan_file:
        plan_file.seek(0)
        plan = decode(plan_file.read())
    if failure is None:
        return 125
    known = failure.step < len(plan.steps)
    step = plan.steps[failure.step] if known else None
    code = 125
    if failure.step_name == "exec" and not failure.detail:
        code = 127 if failure.errno in (2, 20) else 126
    error = launch_error(failure, step, origins[failure.step] if known else "", code)
    render_error(error, log_format=log_format, log_path=log_path)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
