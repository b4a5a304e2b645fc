"""An error on the terminal or in the log: one text for a person, one JSON object for a program.  ✗ decides nothing."""

from __future__ import annotations

import os
import sys

from .. import cli
from ..base.errors import NucleusError


def error_text(error: NucleusError) -> str:
    """`nucleus: where: message`, the remedy on a line of its own, for every problem."""
    lines = []
    for problem in error.problems_list():
        where = f"{problem.where} ".removeprefix("nucleus ").strip()  # a verb's is `nucleus stop`
        lines.append(
            printable(f"nucleus: {where}: {problem.message}" if where else f"nucleus: {problem.message}")
        )
        if problem.remedy:
            lines.append(printable(f"  remedy: {problem.remedy}"))
    return "\n".join(lines) + "\n"


def printable(text: str) -> str:
    """Names and values are others' words: what would steer a terminal, or is no character, is shown as \\x1b."""
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else _escape(c) for c in text])


def _escape(character: str) -> str:
    byte = ord(character) - 0xDC00
    if 0x80 <= byte <= 0xFF:  # one of a name that is no UTF-8 (surrogateescape)
        return f"\\x{byte:02x}"
    return character.encode("unicode_escape").decode("ascii")


def error_json(error: NucleusError) -> str:
    """One line: level, code, exit_code and the problems with message, where and remedy."""
    from ..base.jsontext import dumps

    problems = [p.as_dict() for p in error.problems_list()]
    return (
        dumps({"level": "error", "code": error.code, "exit_code": error.exit_code, "problems": problems})
        + "\n"
    )


def render_error(error: NucleusError, *, log_format: str = "", log_path: str = "") -> None:
    """Write the error to stderr, and to the log file too when there is one; without a form as the command line says."""
    if not log_format:
        log_format, log_path = cli.telling
    text = error_json(error) if log_format == "json" else error_text(error)
    sys.stderr.write(text)
    sys.stderr.flush()
    if log_path:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(log_path, flags, 0o600)
        except OSError as reason:
            if all(p.where != "--log" for p in error.problems_list()):
                text = printable(
                    f"nucleus: --log: {log_path} cannot be written: {(reason.strerror or '').lower()}"
                )
                sys.stderr.write(f"{text}\n  remedy: name a file that you may write\n")
            return
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
