"""Bugs for the compiler: each a small slip that a person could make, as a change of its text.

✗ decides nothing: the judge must find them.
"""

from __future__ import annotations

import types
from pathlib import Path

from nucleus.policy import seccomp_bpf

# what goes wrong: (what stands there, what the bug makes of it)
BUGS: dict[str, tuple[str, str]] = {
    "a foreign architecture gets the answer for unknown calls": (
        "AUDIT_ARCH[arch], node, KILL_PROCESS)",
        "AUDIT_ARCH[arch], node, filter_.unknown)",
    ),
    "the search goes wrong at the number where it splits": ("LOW_BITS, _JGE, segments[at]", "LOW_BITS, _JGT, segments[at]"),
    "the search splits one number late": ("segments[at][0], above", "segments[at][0] + 1, above"),
    "a range is taken for its first number": (" and segments[2][0] == segments[1][0] + 1", ""),
    "a lone call is mistaken for its neighbour": ("_JEQ, first, node", "_JEQ, first + 1, node"),
    "the high word is never compared": ("if c.bits == 32:", "if c.bits:"),
    "the high word of an int is compared": ("if c.bits == 32:", "if c.bits == 0:"),
    "greater-than lets an equal high word pass": ("_JGT, high, true, node", "_JGE, high, true, node"),
    "less-than becomes less-or-equal": ('"<": ">="', '"<": ">"'),
    "less-or-equal becomes less-than": ('"<=": ">"', '"<=": ">="'),
    "not-equal becomes equal": ("true, false = false, true", "pass"),
    "no bit set becomes some bit set": ("_JSET, m, false, node", "_JSET, m, node, false"),
    "all bits set becomes some bit set": ("elif v == m and not m & (m - 1):", "elif v == m:"),
    "the high half of a mask is forgotten": ("(low + 4, mask >> 32, value >> 32)", "(low + 4, 0, 0)"),
    "a mask is not applied": ("self.test(word, m, _JEQ", "self.test(word, LOW_BITS, _JEQ"),
    "the last argument is read from the one before": ("8 * c.index", "8 * min(c.index, 4)"),
    "the last rule that holds decides": ("in reversed(rules)", "in rules"),
    "a rule that fails skips those after it": (
        "node = self.condition(c, node, following)",
        "node = self.condition(c, node, otherwise)",
    ),
    "only the first condition of a rule counts": ("in reversed(conditions)", "in conditions[:1]"),
    "tests with different constants are taken for one": (
        "key = (word, mask, jump, constant,",
        "key = (word, mask, jump, 0,",
    ),
    "a masked word is taken for the whole one": ("source[:2] == target[:2]", "source[:1] == target[:1]"),
    "a long jump lands one instruction late": (
        "len(self.code) - self._place(source, target) - 1",
        "len(self.code) - self._place(source, target) - 2",
    ),
    "a gap in the table is not unknown": (
        "add(after, number - after, filter_.unknown)",
        "add(after, number - after, filter_.default)",
    ),
    "calls of later kernels are not unknown": ("add(after, 1, filter_.unknown)", "add(after, 1, filter_.default)"),
    "x32 calls are unknown calls": ("add(X32_BIT, 1, filter_.x32)", "add(X32_BIT, 1, filter_.unknown)"),
}  # fmt: skip


def compiler_with(bug: str) -> types.ModuleType:
    """The compiler, with this one bug."""
    right, wrong = BUGS[bug]
    text = Path(seccomp_bpf.__file__).read_text(encoding="utf-8")
    assert text.count(right) == 1, f"the compiler has changed; say anew where this bug goes: {right}"
    module = types.ModuleType("nucleus.policy.seccomp_bpf_with_a_bug")
    module.__package__ = "nucleus.policy"
    exec(compile(text.replace(right, wrong), "with a bug", "exec"), module.__dict__)
    return module
