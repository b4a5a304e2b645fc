"""Completion: what each shell offers at each place, and that the names of containers come at once."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
from source_tree import ROOT

from nucleus.cli.main import VERBS
from nucleus.spec.options import OPTIONS
from nucleus.state.store import Store

COMMAND = ROOT / "bin" / "nucleus"
IDS = ("a" * 32, "b" * 32)
FLAGS = {o.flag for o in OPTIONS if o.cli}

# What is typed (the last word is being typed) → what must be offered, and what must not.
PLACES = [
    pytest.param(["nucleus", ""], {"run", "ps", "logs"}, {"--memory"}, id="verbs"),
    pytest.param(["nucleus", "ru"], {"run"}, {"ps"}, id="beginning of a verb"),
    pytest.param(["nucleus", "run", "--mem"], {"--memory", "--memory-high"}, {"--name"}, id="options of run"),
    pytest.param(["nucleus", "run", "--network", ""], {"none", "host"}, {"run"}, id="choices"),
    pytest.param(["nucleus", "run", "--name", "x", "--sec"], {"--secret"}, set(), id="after a value"),
    pytest.param(["nucleus", "logs", ""], {"web", "aaaaaaaaaaaa", "bbbbbbbbbbbb"}, {"run"}, id="containers"),
    pytest.param(["nucleus", "logs", "w"], {"web"}, {"aaaaaaaaaaaa"}, id="beginning of a name"),
    pytest.param(["nucleus", "logs", "--"], {"--follow", "--since"}, {"--memory"}, id="options of another verb"),
    pytest.param(["nucleus", "events", "--format", ""], set(), {"web"}, id="value without a list"),
    pytest.param(["nucleus", "help", "ex"], {"explain"}, {"ps"}, id="help"),
    pytest.param(["nucleus", "completion", ""], {"bash", "zsh", "fish"}, {"run"}, id="shells"),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment with the command on PATH and two containers, one with a name."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "bin").mkdir()
    (folder / "bin" / "nucleus").symlink_to(COMMAND)
    store = Store(str(folder / "state"))
    for container_id in IDS:
        os.close(store.create(container_id).fd)
    store.take_name("web", IDS[0])
    store.close()
    yield {
        "PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder), "NUCLEUS_STATE_DIR": str(folder / "state"),
        "LC_ALL": "C.UTF-8", "TERM": "dumb",
    }  # fmt: skip


def ask(command: list[str], environment: dict[str, str]) -> set[str]:
    done = subprocess.run(
        command, env=environment, cwd="/usr/share", stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line.split("\t")[0].strip() for line in done.stdout.splitlines() if line.strip()}


BASH = r"""
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_nucleus
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(("words", "offered", "absent"), PLACES)
def test_bash_completes(place: dict[str, str], words: list[str], offered: set[str], absent: set[str]) -> None:
    script = str(ROOT / "completions" / "nucleus")
    found = ask(["bash", "--norc", "-c", BASH, "bash", script, *words], place)
    assert offered <= found and not absent & found, found


def test_bash_understands_equal_signs_and_the_command_behind(place: dict[str, str]) -> None:
    script = str(ROOT / "completions" / "nucleus")
    start = ["bash", "--norc", "-c", BASH, "bash", script]
    assert ask([*start, "nucleus", "run", "--network", "=", "ho"], place) == {"host"}
    assert "doc" in ask([*start, "nucleus", "run", "--rm", "--", "ls", "do"], place)  # below /usr/share
    assert "bash" in ask([*start, "nucleus", "run", "--rm", "bas"], place)
    assert ask([*start, "nucleus", "--root", "/nonexistent", "logs", ""], place) == set()


@pytest.mark.parametrize(("words", "offered", "absent"), PLACES)
def test_fish_completes(place: dict[str, str], words: list[str], offered: set[str], absent: set[str]) -> None:
    script = ROOT / "completions" / "nucleus.fish"
    line = " ".join(words)
    found = ask(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], place)
    assert offered <= found and not absent & found, found


# A shell on a terminal of its own: completions exist nowhere else.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= PS2= RPS1=; unsetopt prompt_cr; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell "list() { compadd() { builtin compadd -A found \"\$@\"; print -rl -- \$found; builtin compadd \"\$@\" }; \
_main_complete; print -r -- END; exit }; zle -C ask complete-word list; bindkey '^X' ask; print -r -- READY"
while zpty -r shell line; do [[ $line == READY* ]] && break; done
zpty -n -w shell "$2"$'\x18'
while zpty -r shell line; do print -r -- ${line//[^[:print:]]/}; [[ $line == *END* ]] && break; done
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        pytest.param("nucleus ", {"run", "ps", "logs"}, id="verbs"),
        pytest.param("nucleus logs ", {"web", "aaaaaaaaaaaa"}, id="containers"),
        pytest.param("nucleus run --network ", {"none", "host"}, id="choices"),
    ],
)
def test_zsh_completes(place: dict[str, str], typed: str, offered: set[str]) -> None:
    found = ask(["zsh", "-f", "-c", ZSH, "zsh", str(ROOT / "completions"), typed], place)
    assert offered <= {word for line in found for word in line.split()}, found


def test_the_script_is_printed_as_it_is_installed() -> None:
    for shell, name in (("bash", "nucleus"), ("zsh", "_nucleus"), ("fish", "nucleus.fish")):
        done = subprocess.run([COMMAND, "completion", shell], capture_output=True, text=True, check=True)
        assert done.stdout == (ROOT / "completions" / name).read_text()


def test_every_verb_and_every_option_is_in_every_script() -> None:
    for path in (ROOT / "completions").iterdir():
        text = path.read_text()
        assert [verb for verb in VERBS if verb not in text] == []
        long = {flag[2:] if path.suffix == ".fish" else flag for flag in FLAGS}
        assert [flag for flag in sorted(long) if flag not in text] == []


def best(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of a processor: what else runs on the machine keeps a command waiting, and says nothing of it."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(9):
        before = used()
        subprocess.run(command, env=environment, capture_output=True, check=True)
        times.append(used() - before)
    return min(times)


def test_the_names_of_containers_are_answered_at_once(place: dict[str, str]) -> None:
    """Compared with what the interpreter alone takes here and now: on a quiet machine that is 10 ms, so this is 50."""
    alone = best([sys.executable, "-I", "-S", "-c", "pass"], place)
    assert best([str(COMMAND), "completion", "--containers"], place) <= max(5 * alone, 0.05)
