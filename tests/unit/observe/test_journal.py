"""The log that systemd keeps: the words for journalctl, and its answer as lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nucleus.base.errors import HostUnsupported, SpecError
from nucleus.observe import journal
from nucleus.observe.journal import command, line_of, read_journal
from nucleus.observe.logs import LogLine, Selection

UNIT = "nucleus-aaaaaaaaaaaa.service"


def entry(at_us: int, message: object, transport: str = "stdout") -> str:
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(at_us),
            "__CURSOR": f"c{at_us}",
            "MESSAGE": message,
            "_TRANSPORT": transport,
        }
    )


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in its place that prints a file and, when following, stays; what was late is behind the last line."""
    answer = tmp_path / "answer"
    lines = [entry(1_000_000, "one"), entry(1_500_000, "Started.", "journal"), entry(2_000_000, [255, 0, 65])]
    answer.write_text("".join(f"{line}\n" for line in lines))
    program = tmp_path / "journalctl"
    late = tmp_path / "late"
    late.write_text(entry(2_100_000, "late") + "\n")
    program.write_text(
        f"""#!/bin/sh
case "$*" in *--after-cursor=c2000000*) exec cat {late} ;; *--after-cursor*) exit 0 ;; esac
cat {answer}
case "$*" in *--follow*) exec sleep 60 ;; esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setattr(journal, "PROGRAM", str(program))
    return program


def test_what_is_asked_is_what_was_wanted() -> None:
    wish = Selection(since_ns=1_500_000_001, until_ns=2_000_000_000, tail=5)
    words = command(UNIT, wish, follow=False, uid=0)
    assert words[0] == "/usr/bin/journalctl" and {f"_SYSTEMD_UNIT={UNIT}", "_TRANSPORT=stdout"} <= set(words)
    assert {"--since=@1.500000", "--until=@2.000000", "--lines=5"} <= set(words)
    follow = command(UNIT, Selection(), follow=True, uid=1000)
    assert {"SYSLOG_IDENTIFIER=nucleus-aaaaaaaaaaaa", "_UID=1000", "--follow", "--no-tail"} <= set(follow)


def test_lines_of_the_container_come_and_those_of_systemd_do_not(journalctl: Path) -> None:
    lines = list(read_journal(UNIT, Selection(), follow=False, uid=0, has_ended=lambda: True))
    assert lines == [
        LogLine(time_ns=1_000_000_000, stream="stdout", data=b"one\n"),
        LogLine(time_ns=2_000_000_000, stream="stdout", data=b"\xff\0A\n"),
    ]
    assert line_of({"MESSAGE": None, "_TRANSPORT": "stdout"}) is None


def test_following_ends_with_the_container(journalctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_POLL_S", 0.01)
    asked: list[bool] = []

    def has_ended() -> bool:
        asked.append(True)
        return len(asked) > 2

    lines = list(read_journal(UNIT, Selection(), follow=True, uid=0, has_ended=has_ended))
    assert [line.data for line in lines] == [b"one\n", b"\xff\0A\n", b"late\n"] and len(asked) == 3


def test_following_stops_at_the_time_that_was_given(journalctl: Path) -> None:
    wish = Selection(until_ns=1_500_000_000)
    lines = list(read_journal(UNIT, wish, follow=True, uid=0, has_ended=lambda: False))
    assert [line.data for line in lines] == [b"one\n"]


def test_one_stream_alone_is_refused_since_the_journal_mixes_them() -> None:
    with pytest.raises(SpecError, match="apart"):
        list(read_journal(UNIT, Selection(streams=("stdout",)), follow=False, uid=0, has_ended=lambda: True))


def test_a_machine_without_journalctl_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PROGRAM", "/nonexistent/journalctl")
    with pytest.raises(HostUnsupported, match="journalctl"):
        list(read_journal(UNIT, Selection(), follow=False, uid=0, has_ended=lambda: True))


def test_a_journal_that_is_closed_to_this_user_is_no_empty_log(journalctl: Path) -> None:
    journalctl.write_text("#!/bin/sh\necho 'No journal files were opened' >&2\nexit 1\n")
    for follow in (False, True):
        with pytest.raises(HostUnsupported) as caught:
            list(read_journal(UNIT, Selection(), follow=follow, uid=1000, has_ended=lambda: False))
        assert "No journal files were opened" in caught.value.message
        assert "systemd-journal" in caught.value.remedy


@pytest.mark.parametrize(
    ("file", "readable"),
    [
        pytest.param("var/abc/user-7.journal", True, id="the user's own, on disk"),
        pytest.param("run/abc/system.journal", True, id="everybody's, for a member of the group"),
        pytest.param("var/abc/user-8.journal", False, id="another user's"),
        pytest.param("var/xyz/user-7.journal", False, id="another machine's"),
    ],
)
def test_whether_a_user_can_read_his_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, readable: bool
) -> None:
    (tmp_path / "machine-id").write_text("abc\n")
    monkeypatch.setattr(journal, "_MACHINE", str(tmp_path / "machine-id"))
    monkeypatch.setattr(journal, "_PLACES", (str(tmp_path / "var"), str(tmp_path / "run")))
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert journal.is_readable(7) is readable
    (tmp_path / "machine-id").unlink()
    assert not journal.is_readable(7)
