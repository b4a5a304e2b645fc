"""Valid launch documents with one mistake each, made by a generator with a fixed seed.  ✗ runs nothing."""

from __future__ import annotations

from random import Random

VALID = """\
command = ["python3", "-m", "unittest"]
name = "tests"
memory = "512M"
cpus = 1.5
pids = 64
timeout = "10m"
rm = true
tmpfs = ["/scratch:64M"]
ulimit = ["nofile=1024"]
env = { CI = "1" }
"""
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def _misspell(random: Random, line: str) -> str:
    key, rest = line.split(" ", 1)
    at = random.randrange(len(key) + 1)
    return f"{key[:at]}{random.choice(ALPHABET)}{key[at:]} {rest}"


def _other_type(random: Random, line: str) -> str:
    key = line.split(" ", 1)[0]
    return f"{key} = {random.choice(('{ a = 1 }', '[[1]]', '1979-05-27', '[{}]'))}"


def _unterminated(random: Random, line: str) -> str:
    return line[: line.index("=") + 1] + ' "' + line[-random.randrange(1, 4) :].replace('"', "")


def _no_value(random: Random, line: str) -> str:
    return line[: line.index("=") + 1]


def _control_character(random: Random, line: str) -> str:
    at = random.randrange(len(line))
    return line[:at] + random.choice("\0\x01\x07\x1b\x7f") + line[at:]


def _twice(random: Random, line: str) -> str:
    return f"{line}\n{line}"


def _junk_value(random: Random, line: str) -> str:
    key = line.split(" ", 1)[0]
    word = "".join(random.choices(ALPHABET + "{}%\\\\ -;", k=9))
    return f"{key} = '{word}!'"


MUTATIONS = (
    _misspell, _other_type, _unterminated, _no_value, _control_character, _twice, _junk_value,
)  # fmt: skip
# What any text is good for cannot be made wrong by other text.
ANY_TEXT = ("command", "env")


def mutants(count: int) -> dict[str, str]:
    """Name → document with one mistake; always the same ones."""
    found: dict[str, str] = {}
    for number in range(count):
        random = Random(number)
        mutate = MUTATIONS[number % len(MUTATIONS)]
        lines = VALID.splitlines()
        at = random.choice([i for i, line in enumerate(lines) if not line.startswith(ANY_TEXT)])
        lines[at] = mutate(random, lines[at])
        name = f"{mutate.__name__.lstrip('_').replace('_', ' ')} in line {at + 1} ({number})"
        found[name] = "\n".join(lines) + "\n"
    return found
