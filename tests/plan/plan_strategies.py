"""Random launch plans, drawn from the step table: well-formed ones, and ones with a single fault.

A plan that these make is well-formed, not sensible: it keeps what the launcher checks and nothing more.
✗ asserts nothing, knows no step by heart except where two belong together.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from struct import error as StructError

from hypothesis import strategies as st

from nucleus.base.errors import SpecError
from nucleus.plan import schema
from nucleus.plan.encode import encode
from nucleus.plan.steps import LaunchPlan, Step

FieldValue = int | str | bytes
# Steps that come in pairs: both or neither.
PAIRS = (("landlock-ruleset", "landlock-restrict"), ("hand-over-mounts", "await-host-mounts"))
NEED_RULESET = ("landlock-path", "landlock-port")
ODD_WORDS = (
    "",
    "a",
    "sub dir",
    '"',
    "\\",
    "naïve",
    "\udcff\udc80",
    "\x01\x7f\n",
    "x" * 7,
    "y" * 8,
    "…",
    "{0}",
    "..a",
)
SLOTS = 5


def _words(random: Random) -> str:
    return "".join(random.choices(ODD_WORDS, k=random.randrange(4)))


def _path(random: Random) -> str:
    parts = [_words(random) + random.choice("abc") for _ in range(random.randrange(4))]
    return "/" + "/".join(parts)


def _list(random: Random, least: int) -> bytes:
    entries = [_words(random).encode("utf-8", "surrogateescape") for _ in range(random.randrange(least, 4))]
    return b"".join([entry + b"\0" for entry in entries])


def _number(random: Random, field: schema.Field) -> int:
    if field.check == "mask":
        return random.getrandbits(64) & field.limit
    edges = (0, 1, field.limit, field.limit >> 1, 0x80, 0xFFFF, 1 << 32)
    return min(random.choice(edges), field.limit)


def value_of(random: Random, field: schema.Field) -> FieldValue:
    """A value that the launcher takes for that field."""
    if field.kind == "f":
        return random.randrange(SLOTS)
    if field.kind == "n":
        return _number(random, field)
    if field.check == "absolute":
        return _path(random)
    if field.check == "sysctl":
        return "/proc/sys/" + random.choice(("a", "kernel/pid_max", "ünï/x"))
    if field.check == "name":
        return random.choice(("memory.max", "a", ".hidden", "ä", "z" * 255))
    if field.check.startswith("list"):
        return _list(random, 1 if field.check == "list" else 0)
    if field.check == "multiple":
        return random.randbytes(field.limit * random.randrange(4))
    return random.randbytes(random.randrange(18)) if field.kind == "b" else _words(random)


def make_step(random: Random, spec: schema.StepSpec) -> Step:
    """A step of that row with random values."""
    return Step(spec, tuple([value_of(random, f) for f in spec.fields]), "")


def _times(random: Random, allowed: str) -> int:
    return {schema.REQUIRED: 1, schema.NEVER: 0, schema.OPTIONAL: random.randrange(2)}.get(
        allowed, random.choice((0, 0, 1, 1, 2, 3))
    )


def _counts(random: Random, kind: int) -> dict[str, int]:
    counts = {s.name: _times(random, s.count(kind)) for s in schema.STEPS}
    for one, other in PAIRS:
        if not counts[one] or not counts[other]:
            counts[one] = counts[other] = 0
    if not counts["landlock-ruleset"]:
        counts |= dict.fromkeys(NEED_RULESET, 0)
    return counts


def random_plan(random: Random) -> LaunchPlan:
    """A well-formed plan: phases in order for each actor, actors interleaved at random."""
    kind = random.choice(list(schema.KINDS))
    counts = _counts(random, kind)
    queues: list[list[Step]] = [[] for _ in schema.ACTORS]
    for spec in schema.STEPS:
        queues[spec.actor] += [make_step(random, spec) for _ in range(counts[spec.name])]
    for queue in queues:
        random.shuffle(queue)
        queue.sort(key=lambda step: step.spec.phase)
    steps = []
    while any(queues):
        steps.append(random.choice([q for q in queues if q]).pop(0))
    return LaunchPlan(kind=kind, steps=tuple(steps), slots=tuple([f"slot {i}" for i in range(SLOTS)]))


BAD_TEXTS = (
    "",
    "/",
    "//",
    "a/b",
    ".",
    "..",
    ".b",
    "..b",
    "/a/../b",
    "/a/.",
    "/a/",
    "/.a",
    "/a..",
    "a\0b",
    "n" * 256,
)
BAD_BYTES = (b"", b"a", b"\0", b"ab\0", b"1234567")


def bad_values(field: schema.Field) -> tuple[FieldValue, ...]:
    """Values of the field's type, of which the launcher refuses some."""
    if field.kind in "nf":
        return (0, 1, field.limit + 1, (1 << 64) - 1, 1 << 64, -1, SLOTS, 1 << 33)
    return BAD_TEXTS if field.kind == "s" else BAD_BYTES


def replaced(plan: LaunchPlan, at: int, which: int, value: FieldValue) -> LaunchPlan:
    """The plan with another value in one field."""
    steps = list(plan.steps)
    values = list(steps[at].values)
    values[which] = value
    steps[at] = Step(steps[at].spec, tuple(values), "")
    return LaunchPlan(kind=plan.kind, steps=tuple(steps), slots=plan.slots)


def without(plan: LaunchPlan, *names: str) -> LaunchPlan:
    """The plan without the steps of those names."""
    steps = tuple([s for s in plan.steps if s.name not in names])
    return LaunchPlan(kind=plan.kind, steps=steps, slots=plan.slots)


def damaged_plan(random: Random) -> LaunchPlan:
    """A plan with one change, which may or may not make it ill-formed."""
    plan = random_plan(random)
    steps, kind, slots = list(plan.steps), plan.kind, plan.slots
    at = random.randrange(len(steps))
    action = random.randrange(12)
    if action == 0:
        del steps[at]
    elif action == 1:
        steps.insert(random.randrange(len(steps)), steps[at])
    elif action == 2:
        steps.insert(random.randrange(len(steps)), steps.pop(at))
    elif action == 3:
        kind = random.choice((0, 1, 2, 3))
    elif action == 4:
        slots = slots[: random.randrange(SLOTS + 1)]
    else:
        at = random.choice([i for i, s in enumerate(steps) if s.spec.fields])
        which = random.randrange(len(steps[at].values))
        return replaced(plan, at, which, random.choice(bad_values(steps[at].spec.fields[which])))
    return LaunchPlan(kind=kind, steps=tuple(steps), slots=slots)


def _systematic() -> Iterator[LaunchPlan]:
    """Each bad value once for each kind of check, and each half of what belongs together."""
    plan = sample_plans()["create-all"]
    seen = set()
    for at, step in enumerate(plan.steps):
        for which, field in enumerate(step.spec.fields):
            if (field.kind, field.check) not in seen:
                seen.add((field.kind, field.check))
                yield from [replaced(plan, at, which, value) for value in bad_values(field)]
    for names in (*[(name,) for pair in PAIRS for name in pair], PAIRS[0]):
        yield without(plan, *names)
    yield without(plan, *PAIRS[0], NEED_RULESET[0])


def near_misses(count: int) -> Iterator[bytes]:
    """Encoded plans with one change, always the same ones; what has no encoding is left out."""
    for plan in (*_systematic(), *[damaged_plan(Random(seed)) for seed in range(count)]):
        try:
            yield encode(plan)
        except (SpecError, StructError):
            continue


def plans() -> st.SearchStrategy[LaunchPlan]:
    """Well-formed plans, each of one drawn seed: to draw every choice takes twenty times as long."""
    return st.randoms(use_true_random=True).map(random_plan)


def damaged_plans() -> st.SearchStrategy[LaunchPlan]:
    """Plans with one change."""
    return st.randoms(use_true_random=True).map(damaged_plan)


def sample_plans() -> dict[str, LaunchPlan]:
    """A few fixed plans: every step of each kind, the fewest, and some in between."""
    found = {f"sample-{seed}": random_plan(Random(seed)) for seed in range(6)}
    for kind, name in schema.KINDS.items():
        for extent, wanted in (("all", "1?*"), ("least", "1")):
            random = Random(extent)
            rows = [s for s in schema.STEPS if s.count(kind) in wanted]
            rows.sort(key=lambda s: s.phase)
            steps = tuple([make_step(random, s) for s in rows])
            slots = tuple([f"slot {i}" for i in range(SLOTS)])
            found[f"{name}-{extent}"] = LaunchPlan(kind=kind, steps=steps, slots=slots)
    return found
