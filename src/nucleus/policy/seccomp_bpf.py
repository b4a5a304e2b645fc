"""Rules → classic BPF: architecture, then a balanced search over call numbers, then conditions on arguments.

The kernel runs the filter once for every call number when it is installed, to learn which are always
allowed; so installing costs as many instructions as those runs take together, and the search is balanced
by how many numbers lead where.  Before an argument is loaded only instructions stand that this run knows.

A program is built as a graph of tests, equal parts shared, and written from its end: every jump goes forward.
✗ no prctl, no profiles.
"""

from __future__ import annotations

from struct import pack

from ..base.errors import SpecError
from .seccomp_rules import (
    KILL_PROCESS,
    LOW_BITS,
    X32_BIT,
    Condition,
    Filter,
    decisions,
)

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
MAX_JUMP = 255

# Opcodes: BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|…|K, BPF_RET|K.
_LD, _AND, _JA, _JEQ, _JGT, _JGE, _JSET, _RET = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x45, 0x06

# struct seccomp_data: nr, arch, instruction_pointer, args[6]; both architectures are little-endian.
_NUMBER, _ARCH, _ARGS = 0, 4, 16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .seccomp_rules import Decision

    # A test (word, mask, jump, constant, node if true, node if false), or the answer of a leaf.
    Node = tuple["int", "int", "int", "int", "Node", "Node"] | int

    # Adjoining call numbers with the same fate: (first number, how much it weighs in the search, node).
    Segment = tuple[int, int, "Node"]


class _Graph:
    """Makes each different test once, so that equal chains are one chain."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, int, int, int, int], Node] = {}

    def test(self, word: int, mask: int, jump: int, constant: int, true: Node, false: Node) -> Node:
        if true is false or true == false:
            return true
        key = (word, mask, jump, constant, _key(true), _key(false))
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = (word, mask, jump, constant, true, false)
        return found

    def condition(self, c: Condition, true: Node, false: Node) -> Node:
        """The tests of one condition, high word first."""
        low = _ARGS + 8 * c.index
        if c.op == "&==":
            return self._masked(low, c.mask if c.bits == 64 else c.mask & LOW_BITS, c.value, true, false)
        if c.op in ("!=", "<", "<="):  # the opposite of ==, >=, >
            c = c.replace(op={"!=": "==", "<": ">=", "<=": ">"}[c.op])
            true, false = false, true
        jump = {"==": _JEQ, ">": _JGT, ">=": _JGE}[c.op]
        node = self.test(low, LOW_BITS, jump, c.value & LOW_BITS, true, false)
        if c.bits == 32:
            return node
        high = c.value >> 32
        node = self.test(low + 4, LOW_BITS, _JEQ, high, node, false)
        return node if jump == _JEQ else self.test(low + 4, LOW_BITS, _JGT, high, true, node)

    def _masked(self, low: int, mask: int, value: int, true: Node, false: Node) -> Node:
        if value & ~mask:  # a bit that is always clear cannot be set
            return false
        node = true
        for word, m, v in ((low, mask & LOW_BITS, value & LOW_BITS), (low + 4, mask >> 32, value >> 32)):
            if not m:
                continue
            if not v:
                node = self.test(word, LOW_BITS, _JSET, m, false, node)
            elif v == m and not m & (m - 1):
                node = self.test(word, LOW_BITS, _JSET, m, node, false)
            else:
                node = self.test(word, m, _JEQ, v, node, false)
        return node

    def decision(self, d: Decision) -> Node:
        """The rules of one call, tried in order: what fails goes on to the next rule as a whole."""
        rules, otherwise = d
        node: Node = otherwise
        for conditions, action in reversed(rules):
            following, node = node, action
            for c in reversed(conditions):
                node = self.condition(c, node, following)
        return node


def _key(node: Node) -> int:
    # Answers are non-negative; the identity of a tuple that is kept alive by the graph is its name.
    return node if isinstance(node, int) else ~id(node)


def _segments(graph: _Graph, filter_: Filter, arch: str) -> list[Segment]:
    """All 2³² numbers as ranges, ascending, neighbours different."""
    found: list[Segment] = []
    after = 0

    def add(first: int, weight: int, node: Node) -> None:
        if found and (found[-1][2] is node or found[-1][2] == node):
            found[-1] = (found[-1][0], found[-1][1] + weight, node)
        else:
            found.append((first, weight, node))

    for number, decision in decisions(filter_, arch).items():
        if number > after:
            add(after, number - after, filter_.unknown)
        add(number, 1, graph.decision(decision))
        after = number + 1
    add(after, 1, filter_.unknown)
    if arch == "x86_64":
        add(X32_BIT, 1, filter_.x32)
    return found


def _search(graph: _Graph, segments: list[Segment]) -> Node:
    """A binary search, split where the weights of both sides differ least."""
    if len(segments) == 1:
        return segments[0][2]
    if len(segments) == 3 and segments[0][2] == segments[2][2] and segments[2][0] == segments[1][0] + 1:
        first, _, node = segments[1]
        return graph.test(_NUMBER, LOW_BITS, _JEQ, first, node, segments[0][2])
    total = sum([weight for _, weight, _ in segments])
    best, at, left = total + 1, 1, 0
    for i in range(1, len(segments)):
        left += segments[i - 1][1]
        heavier = max(left, total - left)
        if heavier < best:
            best, at = heavier, i
    above, below = _search(graph, segments[at:]), _search(graph, segments[:at])
    return graph.test(_NUMBER, LOW_BITS, _JGE, segments[at][0], above, below)


def _children_first(root: Node) -> list[Node]:
    """Every node once, after all that it jumps to: the program, from its end."""
    order: list[Node] = []
    seen: set[int] = set()
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif _key(node) not in seen:
            seen.add(_key(node))
            waiting.append((node, True))
            if not isinstance(node, int):
                waiting += [(node[4], False), (node[5], False)]
    return order


class _Writer:
    """Instructions from the last to the first.  A place is its distance from the end."""

    def __init__(self, order: list[Node], root: Node) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        self._loads: set[int] = {_key(root)}
        self._entry: dict[int, int] = {}  # with the load
        self._loaded: dict[int, int] = {}  # where the accumulator holds the word already
        for node in order:
            if not isinstance(node, int):
                self._loads |= {_key(t) for t in node[4:] if not _keeps(node, t)}
        for node in order:
            self._write(node)

    def _write(self, node: Node) -> None:
        key = _key(node)
        if isinstance(node, int):
            self._put(_RET, node)
            self._entry[key] = self._loaded[key] = len(self.code) - 1
            return
        word, mask, jump, constant, true, false = node
        # A jump that is too long goes by way of a nearer copy; making one moves the other target further off.
        for target in (true, false):
            if len(self.code) + 1 - self._place(node, target) > MAX_JUMP:
                self._bring_near(node, target)
        here = len(self.code)
        self._put(jump, constant, here - self._place(node, true) - 1, here - self._place(node, false) - 1)
        self._loaded[key] = here
        if key in self._loads:
            if mask != LOW_BITS:
                self._put(_AND, mask)
            self._put(_LD, word)
            self._entry[key] = len(self.code) - 1

    def _place(self, source: Node, target: Node) -> int:
        return (self._loaded if _keeps(source, target) else self._entry)[_key(target)]

    def _bring_near(self, source: Node, target: Node) -> None:
        distance = len(self.code) - self._place(source, target) - 1
        if isinstance(target, int):
            self._put(_RET, target)
        else:
            self._put(_JA, distance)
        (self._loaded if _keeps(source, target) else self._entry)[_key(target)] = len(self.code) - 1

    def _put(self, opcode: int, constant: int, true: int = 0, false: int = 0) -> None:
        self.code.append((opcode, true, false, constant))


def _keeps(source: Node, target: Node) -> bool:
    """Does the accumulator hold at `source` what `target` would load?"""
    if isinstance(source, int) or isinstance(target, int):
        return False
    return source[:2] == target[:2]


def compile_filter(filter_: Filter, arch: str) -> bytes:
    """The program as an array of struct sock_filter.  Deterministic: same filter, same bytes."""
    if arch not in AUDIT_ARCH:
        message = f"no system call table for {arch!r}"
        raise SpecError(message, where="seccomp", remedy=f"use one of {', '.join(AUDIT_ARCH)}")
    graph = _Graph()
    node = _search(graph, _segments(graph, filter_, arch))
    root = graph.test(_ARCH, LOW_BITS, _JEQ, AUDIT_ARCH[arch], node, KILL_PROCESS)
    code = _Writer(_children_first(root), root).code
    if len(code) > MAX_INSTRUCTIONS:
        message = (
            f"the filter {filter_.name!r} has {len(code)} instructions; the kernel takes {MAX_INSTRUCTIONS}"
        )
        raise SpecError(message, where="seccomp", remedy="use fewer conditions on arguments")
    return b"".join([pack("<HBBI", *instruction) for instruction in reversed(code)])
