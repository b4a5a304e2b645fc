"""The launch documents in examples/ are valid, and so is what their comments say."""

from __future__ import annotations

from pathlib import Path

from rows import every_row

from nucleus.cli.parser import parse_run

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.*"))


@every_row("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_launch_document(path: Path) -> None:
    assert parse_run(["--config", str(path)], {}).command


def test_the_commands_in_the_comments_are_valid() -> None:
    lines = [
        line.split()[3:]
        for path in EXAMPLES
        for line in path.read_text().splitlines()
        if line.startswith("#   nucleus run ")
    ]
    root = EXAMPLES[0].parent.parent
    assert lines
    for words in lines:
        spec = parse_run([w.replace("examples/", f"{root}/examples/") for w in words], {})
        assert spec.workspace or spec.rootfs
