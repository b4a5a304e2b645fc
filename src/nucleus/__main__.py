"""`python -m nucleus`, and what bin/nucleus starts with `-I -S`.  ✗ nothing but cli.main."""

import gc
import sys


def _extend_path() -> None:
    """Adds the folder of this package and the interpreter's own site-packages, behind the standard library.

    Under `-S` nobody else does, and under `-I` nothing that the caller can write to is on the path.
    """
    prefix = sys.executable.rpartition("/")[0].rpartition("/")[0]
    version = "python%d.%d" % sys.version_info[:2]
    folders = [__file__.rpartition("/")[0].rpartition("/")[0], f"{prefix}/lib/{version}/site-packages"]
    if prefix == "/usr":  # Debian keeps what pip and apt install elsewhere
        folders += [f"/usr/local/lib/{version}/dist-packages", "/usr/lib/python3/dist-packages"]
    sys.path += folders


def _start() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - a checkout may meet an older interpreter
        sys.stderr.write("nucleus: Python 3.11 or newer is needed\n  remedy: run 'make build'\n")
        return 125
    gc.disable()  # a command is over, or the launcher, before anything is worth collecting
    if not __package__:
        _extend_path()
    from nucleus.cli.main import main

    return int(main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(_start())
