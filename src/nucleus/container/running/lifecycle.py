"""The states of a container, and what may be done in which.  Pure.

    creating ──▶ created ──▶ running ◀──▶ paused
                    └───────────┴───────────┴──▶ stopped ──▶ (restart) created

creating  it is being made                       created  it waits at the gate for `start`
restarting  it has ended, and its supervisor pauses before it starts it again
stopped   there is an exit record                dead     its owner was killed: the next sweep writes that record
unknown   it belongs to another pid namespace: nothing here can reach its processes
✗ looks at nothing: `handle.py` does.
"""

from __future__ import annotations

from ...base.errors import Conflict
from ...base.value import Value

CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
RESTARTING, DEAD, UNKNOWN = "restarting", "dead", "unknown"
STATES = (CREATING, CREATED, RUNNING, PAUSED, RESTARTING, STOPPED, DEAD, UNKNOWN)
ALIVE = (CREATED, RUNNING, PAUSED)

# A file beside the records: whoever would apply the changes of a copied workspace at its end discards them.
THROWN_AWAY = "thrown-away"

# Verb → the states in which it acts.  What ends a container is no error on one that has ended.
LEGAL: dict[str, tuple[str, ...]] = {
    "start": (CREATED,),
    "stop": (CREATING, CREATED, RUNNING, PAUSED, RESTARTING, STOPPED, DEAD),
    "kill": (CREATED, RUNNING, PAUSED, RESTARTING),
    "kill -s TERM": (CREATED, RUNNING, PAUSED),
    "kill -s SIGNAL": (RUNNING, PAUSED),
    "restart": (CREATED, RUNNING, PAUSED, RESTARTING, STOPPED, DEAD),
    "pause": (RUNNING,),
    "unpause": (PAUSED,),
    "exec": (RUNNING,),
    "attach": (CREATED, RUNNING),
    "update": (CREATED, RUNNING, PAUSED),
    "update --restart": (RUNNING, PAUSED, RESTARTING),
    "wait": (CREATING, CREATED, RUNNING, PAUSED, RESTARTING, STOPPED, DEAD),
    "rename": (CREATED, RUNNING, PAUSED, RESTARTING, STOPPED, DEAD),
    "rm": (STOPPED, DEAD),
    "rm -f": (CREATING, CREATED, RUNNING, PAUSED, RESTARTING, STOPPED, DEAD),
}

_REMEDIES = {
    ("start", RUNNING): "it runs already",
    ("start", PAUSED): "nucleus unpause {name}",
    ("start", STOPPED): "nucleus restart {name}",
    ("start", DEAD): "nucleus restart {name}",
    ("pause", PAUSED): "nucleus unpause {name}",
    ("exec", PAUSED): "nucleus unpause {name}",
    ("exec", CREATED): "nucleus start {name}",
    ("update --restart", CREATED): "nucleus start {name} first, or create it with --restart",
    ("pause", CREATED): "nucleus start {name}",
    ("kill -s SIGNAL", CREATED): "nucleus start {name}",
    ("rm", CREATING): "nucleus rm -f {name}, which kills it",
    ("rm", CREATED): "nucleus rm -f {name}, which kills it",
    ("rm", RUNNING): "nucleus rm -f {name}, which kills it",
    ("rm", PAUSED): "nucleus rm -f {name}, which kills it",
}
_IN_STATE = {
    CREATING: "wait until it is created",
    STOPPED: "nucleus ps -a shows how it ended",
    RESTARTING: "wait until it runs again, or end it: nucleus stop",
    DEAD: "nucleus ps -a shows how it ended",
    UNKNOWN: "use nucleus in the pid namespace that it was started in",
}


class Look(Value):
    """What was seen of a container at one moment.

    owned     somebody holds its lock: the process that started it, or its monitor
    init      its pid 1 is there, and all that was to be built
    gated     it was created to wait for `start`
    here      it was started in this boot and this pid namespace
    """

    recorded: bool = True
    owned: bool = False
    here: bool = True
    init: bool = False
    gated: bool = False
    started: bool = False
    ended: bool = False
    frozen: bool = False


def status(look: Look) -> str:
    """The state that follows from what was seen."""
    if look.ended:
        return STOPPED
    if not look.owned:
        return DEAD
    if not look.recorded:
        return CREATING
    if not look.here:
        return UNKNOWN
    if not look.init:
        return CREATING
    if look.gated and not look.started:
        return CREATED
    return PAUSED if look.frozen else RUNNING


def require(verb: str, state: str, name: str) -> None:
    """Raises Conflict where the verb is not for a container in that state."""
    if state in LEGAL[verb]:
        return
    shown = verb.partition(" ")[0]
    remedy = _REMEDIES.get((verb, state)) or _IN_STATE.get(state) or "nucleus ps -a shows its state"
    raise Conflict(f"container {name} is {state}", where=f"nucleus {shown}", remedy=remedy.format(name=name))
