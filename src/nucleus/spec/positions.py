"""On which line does a key of a document stand?  Scanners over well-formed TOML and JSON.

Positions serve messages only: a strange spelling may get the line of its key, never a wrong meaning.
✗ values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Lines = dict[str, int]
    Doubled = list[tuple[str, int]]

_STRING = r'"""(?:\\.|[^\\])*?"{3,5}' + "|'''.*?'{3,5}" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'"
_TOML = rf"{_STRING}|#[^\n]*|\n|[\[\]{{}},=.]|[^\s\[\]{{}},=.#\"']+"
_JSON = r'"(?:\\.|[^"\\])*"|\n|[\[\]{},:]|[^\s\[\]{},:"]+'


def _tokens(pattern: str, text: str) -> Iterator[tuple[str, int]]:
    """Each token with its line."""
    import re

    line = 1
    for match in re.finditer(pattern, text, re.DOTALL):
        token = match.group()
        yield token, line
        line += token.count("\n")


class _Scan:
    """Containers that are open, as path prefixes, and what was found."""

    __slots__ = ("doubled", "lines", "stack")

    def __init__(self) -> None:
        self.lines: Lines = {}
        self.doubled: Doubled = []
        self.stack: list[tuple[str, int]] = []  # (path, next index; -1 for a table)

    def note(self, path: str, line: int) -> None:
        if path in self.lines:
            self.doubled.append((path, line))
        else:
            self.lines[path] = line

    def element(self, line: int) -> str:
        """The path of the next element of the innermost array; '' when a table is innermost."""
        if not self.stack or self.stack[-1][1] < 0:
            return ""
        path, index = self.stack[-1]
        self.stack[-1] = (path, index + 1)
        element = f"{path}[{index}]"
        self.lines.setdefault(element, line)
        return element


def _unquoted(token: str) -> str:
    from .suggest import shown_key

    if token[:1] in "\"'" and token[-1:] == token[:1] and len(token) > 1:
        if token[0] == '"' and "\\" in token:
            import json

            try:
                token = json.loads(token)
            except ValueError:
                return token
        else:
            token = token[1:-1]
    return shown_key(token)


def json_positions(text: str) -> tuple[Lines, Doubled]:
    """Path → line of each key and element, and the keys that stand twice in one object."""
    scan = _Scan()
    path, key, wants_key = "", "", False
    for token, line in _tokens(_JSON, text):
        if token == "\n" or token == ":":
            continue
        if token in "{[":
            path = scan.element(line) or path
            scan.stack.append((path, -1 if token == "{" else 0))
            wants_key = token == "{"
        elif token in "}]":
            if scan.stack:
                scan.stack.pop()
            wants_key = False
        elif token == ",":
            wants_key = bool(scan.stack) and scan.stack[-1][1] < 0
        elif wants_key:
            key = _unquoted(token)
            parent = scan.stack[-1][0]
            path = f"{parent}.{key}" if parent else key
            scan.note(path, line)
            wants_key = False
        else:
            scan.element(line)
    return scan.lines, scan.doubled


def toml_positions(text: str) -> tuple[Lines, Doubled]:
    """Path → line of each key and element.  Doubled keys are the decoder's to refuse."""
    scan = _Scan()
    table, pending, in_value, header = "", "", False, False
    words: list[str] = []
    rows: dict[str, int] = {}  # how often [[NAME]] has stood
    is_row = False
    for token, line in _tokens(_TOML, text):
        if token.startswith("#"):
            continue
        if not scan.stack and not in_value:
            if token == "[":
                header, is_row, words = True, header, []
            elif token == "]" and header:
                header, table = False, ".".join(words)
                if is_row:
                    rows[table] = rows.get(table, -1) + 1
                    table = f"{table}[{rows[table]}]"
                scan.lines.setdefault(table, line)
                scan.lines.setdefault(table.partition("[")[0].partition(".")[0], line)
            elif token == "\n":
                header, words = False, []
            elif token == "=":
                path = f"{table}.{'.'.join(words)}" if table else ".".join(words)
                scan.lines.setdefault(path, line)
                scan.lines.setdefault(path.partition(".")[0], line)
                in_value = True
                pending = path
            elif token != ".":
                words.append(_unquoted(token))
            continue
        if token == "\n":
            if not scan.stack:
                in_value, words = False, []
        elif token in "[{":
            base = scan.element(line) or pending
            scan.stack.append((base, 0 if token == "[" else -1))
            words = []
        elif token in "]}":
            if scan.stack:
                scan.stack.pop()
        elif scan.stack and scan.stack[-1][1] < 0:
            if token == "=":
                pending = f"{scan.stack[-1][0]}.{'.'.join(words)}"
                scan.lines.setdefault(pending, line)
                words = []
            elif token == ",":
                words = []
            elif token != ".":
                words.append(_unquoted(token))
        elif scan.stack and token not in ",.=":
            scan.element(line)
    return scan.lines, []
