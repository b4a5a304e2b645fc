"""Manual pages: one for each verb, every option in them, roff without a warning, as a reader sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from source_tree import ROOT

from nucleus.cli.main import VERBS
from nucleus.cli.verb_help import Flag, page_of, parse
from nucleus.spec.options import OPTIONS

PAGES = sorted((ROOT / "man").glob("*.[15]"))


def shown(name: str) -> str:
    """The page as text, on one line: a name is not cut by the end of one."""
    done = subprocess.run(
        ["mandoc", "-T", "ascii", "-O", "width=1000", str(ROOT / "man" / name)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    text = done.stdout
    while "\b" in text:  # overstrikes: bold and underlined
        at = text.index("\b")
        text = text[: at - 1] + text[at + 1 :]
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_page_is_well_formed(page: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert lines == []


def test_every_verb_has_its_page() -> None:
    names = {page.name for page in PAGES}
    assert {f"nucleus-{verb}.1" for verb in VERBS if verb not in ("help", "version")} <= names
    overview = shown("nucleus.1")
    assert all(f"{verb}" in overview for verb in VERBS)


def test_the_page_of_run_has_every_option() -> None:
    text = shown("nucleus-run.1")
    missing = [o.flag for o in OPTIONS if o.cli and o.flag not in text]
    assert missing == []
    assert "the most memory" in text


def test_the_page_of_documents_has_every_key() -> None:
    text = shown("nucleus-launch-document.5")
    assert [o.key for o in OPTIONS if o.document and o.key not in text] == []


@pytest.mark.parametrize(
    "verb", [v for v in VERBS if v not in ("help", "version", "run", "explain", "create")]
)
def test_what_the_help_of_a_verb_lists_is_taken_and_in_its_page(verb: str) -> None:
    from nucleus.cli.main import main

    text = shown(f"nucleus-{verb}.1")
    for flag in page_of(verb).flags:
        assert flag.text, flag
        for name in flag.names:
            assert name in text
            words = [name, "x"] if flag.metavar else [name]
            assert main([verb, *words, "--help"]) == 0, name


def test_help_is_read_as_it_is_written() -> None:
    page = parse(
        "x",
        "usage: nucleus x [-a]\n       nucleus x CONTAINER...\n\nDo it.\n\n  -a, --all  every one,\n             and more\n"
        "  --to DIR   where\n\nAt last.\n",
    )
    assert page.usage == ("nucleus x [-a]", "nucleus x CONTAINER...")
    assert page.text == ("Do it.", "At last.")
    assert page.takes_containers
    assert page.flags == (
        Flag(names=("-a", "--all"), text="every one, and more"), Flag(names=("--to",), metavar="DIR", text="where"),
    )  # fmt: skip
