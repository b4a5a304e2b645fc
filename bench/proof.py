"""Shows that the sandbox that is timed is the hardened one: what its workload is, beside what the host is.

The same options and the same way to start as the contestant's; only the payload differs.  ✗ measures nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.contestants import ENVIRONMENT, TOOLS, CannotStart
from bench.own import COMMAND, HOST_NETWORK, HOST_NETWORK_FLAGS, entered, load_library

NAMESPACES = ("user", "pid", "mnt", "ipc", "uts", "cgroup", "net")
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
FACTS = (*SETS, "NoNewPrivs", "Seccomp", "Uid")
LOOK = "echo ns-$n:$(readlink /proc/self/ns/$n)"
SCRIPT = f"cat /proc/self/status; for n in {' '.join(NAMESPACES)}; do {LOOK}; done"
ASK = [TOOLS, "sh", "-c", SCRIPT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One contestant's workload. facts: lines of /proc/self/status; namespaces: their inodes."""

    name: str
    facts: Mapping[str, str]
    namespaces: Mapping[str, str]


def _read(name: str, text: str) -> Seen:
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Seen(
        name=name,
        facts={key: " ".join(found[key].split()) for key in FACTS},
        namespaces={n: found[f"ns-{n}"].strip().partition(":")[2] for n in NAMESPACES},
    )


def _sdk(options: Mapping[str, object]) -> str:
    import nucleus

    return str(nucleus.run(ASK, **options).out)


def _saved(options: Mapping[str, object]) -> str:
    import nucleus

    return str(nucleus.SavedPlan.compile(ASK, **options).run().out)


def _cli(flags: tuple[str, ...]) -> str:
    root = os.environ["NUCLEUS_STATE_DIR"]
    argv = [COMMAND, "run", "--rm", "--root", root, *flags, "--", *ASK]
    return subprocess.run(argv, env=dict(ENVIRONMENT), capture_output=True, text=True, check=True).stdout


WAYS: dict[str, Callable[[], str]] = {
    "nucleus-sdk": lambda: _sdk({}),
    "nucleus-saved": lambda: _saved({}),
    "nucleus-exec": lambda: str(entered(Path(os.environ["NUCLEUS_STATE_DIR"]))(ASK).out),
    "nucleus-cli": lambda: _cli(()),
    "nucleus-sdk-hostnet": lambda: _sdk(HOST_NETWORK),
    "nucleus-saved-hostnet": lambda: _saved(HOST_NETWORK),
    "nucleus-cli-hostnet": lambda: _cli(HOST_NETWORK_FLAGS),
}


def faults(seen: Seen, host: Seen) -> list[str]:
    """What is not hardened about it; nothing, if all is well."""
    wrong = [f"{key} is {seen.facts[key]}" for key in SETS if int(seen.facts[key], 16)]
    wrong += [f"{key} is {seen.facts[key]}" for key, want in (("NoNewPrivs", "1"), ("Seccomp", "2"))
              if seen.facts[key] != want]  # fmt: skip
    own = NAMESPACES[:-1] if seen.name.endswith("-hostnet") else NAMESPACES
    wrong += [f"its {n} namespace is the host's" for n in own if seen.namespaces[n] == host.namespaces[n]]
    return wrong


def lines(all_seen: list[Seen], host: Seen) -> list[str]:
    """A Markdown table: one row per contestant, the host last."""
    rows = ["| | five capability sets | NoNewPrivs | Seccomp | " + " | ".join(NAMESPACES) + " |"]
    rows.append("| --- |" + " --- |" * (3 + len(NAMESPACES)))
    for seen in (*all_seen, host):
        sets = " ".join([seen.facts[key].lstrip("0") or "0" for key in SETS])
        spaces = " | ".join([seen.namespaces[n].strip("[]") for n in NAMESPACES])
        rows.append(
            f"| {seen.name} | {sets} | {seen.facts['NoNewPrivs']} | {seen.facts['Seccomp']} | {spaces} |"
        )
    return rows


def prove(names: list[str], scratch: Path) -> list[str]:
    """The table of those contestants; raises CannotStart when one of them is not hardened.

    In a process of its own: the benchmark's stays small.
    """
    argv = [sys.executable, "-m", "bench.proof", str(scratch), *names]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
    if done.returncode:
        raise CannotStart(done.stdout + done.stderr)
    return list(json.loads(done.stdout))


def main(scratch: str, *names: str) -> int:
    load_library()
    os.environ["NUCLEUS_STATE_DIR"] = f"{scratch}/proof"
    host = _read("host", subprocess.run(ASK, capture_output=True, text=True, check=False).stdout)
    seen = [_read(name, WAYS[name]()) for name in names]
    wrong = [f"{one.name}: {fault}" for one in seen for fault in faults(one, host)]
    print("\n".join(wrong) if wrong else json.dumps(lines(seen, host)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
