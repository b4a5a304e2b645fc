"""Verbs, global options, errors and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from rows import every_row

from nucleus.base.errors import LaunchError, SpecError
from nucleus.cli import exec as exec_verb
from nucleus.cli import main as cli
from nucleus.cli.errors import error_text
from nucleus.cli.help import run_help
from nucleus.cli.parser import parse_run
from nucleus.spec.container import ContainerSpec
from nucleus.spec.options import OPTIONS

ROOT = Path(__file__).resolve().parents[3]
Captured = pytest.CaptureFixture[str]


def verb(monkeypatch: pytest.MonkeyPatch, action: object) -> None:
    """A verb `probe` that runs the action with its arguments."""
    module = types.ModuleType("nucleus.cli.probe")
    module.main = action  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nucleus.cli.probe", module)
    monkeypatch.setitem(cli.VERBS, "probe", ("probe", "for tests"))


def raising(error: BaseException) -> object:
    def act(argv: list[str]) -> int:
        raise error

    return act


# Verbs that act on a container, with a command line for one that there is not.
OF_A_CONTAINER = {
    "exec": "nobody true", "rename": "nobody other", "update": "--memory 64M nobody", "workspace": "diff nobody",
    **dict.fromkeys(
        "attach inspect kill logs pause restart rm start state stats stop top unpause wait why".split(), "nobody"
    ),
}  # fmt: skip
OF_NONE = frozenset(
    "run create explain ps events context rootfs learn seccomp prune doctor schema completion version help".split()
)


def test_every_verb_has_one_exit_code_for_a_container_that_there_is_not(
    tmp_path: Path, capsys: Captured
) -> None:
    assert {*OF_A_CONTAINER, *OF_NONE} == set(cli.VERBS)
    told = {}
    for name, words in OF_A_CONTAINER.items():
        verb, *rest = f"{name} {words}".split()
        first = rest[:1] if verb == "workspace" else []
        code = cli.main([verb, *first, "--root", str(tmp_path), *rest[len(first) :]])
        message = capsys.readouterr().err
        told[name] = (code, message.count("no container 'nobody'"), message.count("remedy: "))
    assert told == dict.fromkeys(OF_A_CONTAINER, (125, 1, 1))


def test_a_verb_that_is_told_of_no_container_has_it_too(capsys: Captured) -> None:
    named = OF_A_CONTAINER.keys() - {"stats", "state"}  # which then show all
    assert {cli.main([name]) for name in named} == {125}
    assert capsys.readouterr().err.count("remedy: ") == len(named)


def test_the_version_is_one_line(capsys: Captured) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("nucleus ")


@every_row("argv", [[], ["--help"], ["help"], ["-h"]])
def test_help_lists_every_verb(argv: list[str], capsys: Captured) -> None:
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.VERBS)


@pytest.mark.parametrize("argv", [["run", "--help"], ["help", "run"], ["run", "--rm", "-h"]])
def test_help_of_run_lists_every_flag(argv: list[str], capsys: Captured) -> None:
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert out == run_help()
    assert all(option.flag in out for option in OPTIONS if option.cli)


@pytest.mark.parametrize("width", [64, 80])
def test_help_fits_a_terminal_of_its_width(width: int) -> None:
    text = run_help("run", width)
    options = text.partition("exit codes:")[0].splitlines()[5:]
    assert max(map(len, options)) <= width
    assert " ".join(text.split()) == " ".join(run_help("run").split())


def test_every_help_fits_80_columns(capsys: Captured) -> None:
    wide = []
    for argv in (
        ["--help"],
        *[["help", name] for name in cli.VERBS],
        *[[name, "--help"] for name in cli.VERBS],
    ):
        assert cli.main(argv) == 0
        wide += [(*argv, line) for line in capsys.readouterr().out.splitlines() if len(line) > 80]
    assert wide == []


@every_row("name", [name for name in cli.VERBS if name not in ("help", "version")])
def test_every_verb_has_its_help(name: str, capsys: Captured) -> None:
    assert cli.main([name, "--help"]) == 0
    asked = capsys.readouterr().out
    assert asked.startswith(f"usage: nucleus {name}")
    assert cli.main(["help", name]) == 0
    assert capsys.readouterr().out == asked


def test_the_schema_is_json(capsys: Captured) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False


@every_row(
    ("argv", "says"),
    [
        (["rnu"], "did you mean run?"),
        (["--frob"], "unknown option"),
        (["--root"], "needs a value"),
        (["schema", "x"], "unexpected argument"),
        (["help", "rnu"], "did you mean run?"),
        (["\udcff"], "unknown verb"),
    ],
)
def test_misuse_is_125_with_a_remedy(argv: list[str], says: str, capsys: Captured) -> None:
    assert cli.main(argv) == 125
    err = capsys.readouterr().err
    assert err.startswith("nucleus: ") and says in err and "remedy:" in err


def test_options_before_the_verb_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    verb(monkeypatch, lambda argv: seen.append(argv) or 7)
    monkeypatch.setitem(cli._ACCEPTS, "probe", ("--root",))
    assert cli.main(["--root", "/r", "--log-format=json", "probe", "x"]) == 7
    assert seen == [["--root", "/r", "x"]]


def test_a_form_of_messages_that_there_is_not_is_refused_for_every_verb(capsys: Captured) -> None:
    assert cli.main(["--log-format", "yaml", "version"]) == 125
    assert "'yaml'" in capsys.readouterr().err


def test_every_problem_is_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    verb(monkeypatch, raising(SpecError("is wrong", where="--a", remedy="mend it")))
    assert cli.main(["probe"]) == 125
    assert capsys.readouterr().err == "nucleus: --a: is wrong\n  remedy: mend it\n"


@pytest.mark.parametrize("argv", [["--log-format", "json", "probe"], ["probe", "--log-format=json"]])
def test_errors_are_json_when_asked(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    verb(monkeypatch, raising(LaunchError("failed", where="step", remedy="r", exit_code=126)))
    assert cli.main(argv) == 126
    error = json.loads(capsys.readouterr().err)
    assert (error["code"], error["exit_code"]) == ("launch", 126)
    assert error["problems"] == [{"message": "failed", "where": "step", "remedy": "r"}]


def test_the_variable_asks_for_json_too(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("NUCLEUS_LOG_FORMAT", "json")
    assert cli.main(["rnu"]) == 125
    assert json.loads(capsys.readouterr().err)["code"] == "spec"


def test_a_verb_that_goes_on_after_an_error_tells_it_in_the_same_form(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUCLEUS_STATE_DIR", str(tmp_path))
    assert cli.main(["--log-format", "json", "--log", str(tmp_path / "log"), "stop", "no", "none"]) == 125
    told = capsys.readouterr().err
    assert [json.loads(line)["code"] for line in told.splitlines()] == ["not-found"] * 2
    assert (tmp_path / "log").read_text() == told
    assert cli.main(["stop", "no"]) == 125
    assert capsys.readouterr().err.startswith("nucleus: ")


@pytest.mark.parametrize("parsed", [parse_run, lambda argv: exec_verb.parse(["box", *argv])[0]])
def test_the_variable_holds_for_what_is_told_after_parsing_too(
    parsed: Callable[[list[str]], ContainerSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUCLEUS_LOG_FORMAT", "json")
    assert parsed(["true"]).log_format == "json"
    monkeypatch.setenv("NUCLEUS_LOG_FORMAT", "nonsense")
    assert parsed(["true"]).log_format == "text"


def test_a_flag_wins_over_the_variable() -> None:
    words = ["--log-format", "text", "true"]
    assert parse_run(words, environ={"NUCLEUS_LOG_FORMAT": "json"}).log_format == "text"


def test_the_workload_own_words_do_not_choose_the_format() -> None:
    assert cli.log_choice(["run", "--", "x", "--log-format", "json"], "") == ("text", "")


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    verb(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130


def test_a_bug_is_one_line_without_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    verb(monkeypatch, raising(ZeroDivisionError("two\nlines")))
    assert cli.main(["probe"]) == 125
    err = capsys.readouterr().err
    assert "this is a bug: ZeroDivisionError: two lines" in err and "Traceback" not in err
    monkeypatch.setenv("NUCLEUS_DEBUG", "1")
    assert cli.main(["probe"]) == 125
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (
            ">/dev/full",
            125,
            "nucleus: standard output: no space left on device\n  remedy: free some space there\n",
        ),
    ],
)
def test_an_output_that_takes_nothing_is_no_bug(redirection: str, code: int, says: str) -> None:
    for verb in ("help", "schema"):  # the second prints more than a buffer holds
        command = ["sh", "-c", f'exec "$@" {redirection}', "sh", str(ROOT / "bin" / "nucleus"), verb]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (code, says)


@pytest.mark.parametrize(
    ("where", "message", "line"),
    [
        pytest.param("nucleus", "unknown verb", "nucleus: unknown verb", id="the command itself"),
        pytest.param("nucleus stop", "which?", "nucleus: stop: which?", id="a verb"),
        pytest.param("--root", "is bad", "nucleus: --root: is bad", id="an option"),
        pytest.param("", "a\udcffb\x1b", "nucleus: a\\xffb\\x1b", id="bytes that are no text"),
    ],
)
def test_an_error_says_nucleus_once_and_shows_bytes_as_bytes(where: str, message: str, line: str) -> None:
    assert error_text(SpecError(message, where=where)) == f"{line}\n"
