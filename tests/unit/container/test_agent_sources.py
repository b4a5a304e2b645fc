"""Configurations of tools are judged on what they really are."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus.base.errors import SpecError
from nucleus.cli.parser import parse_run
from nucleus.container.inputs.sources import SourceFinder, volume_sources


def test_no_whole_home_comes_in_as_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "ann"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    link = tmp_path / "link"
    link.symlink_to(home)
    for source in (home, link):
        spec = parse_run(["--provider-config-ro", f"{source}:.x", "--", "true"])
        with pytest.raises(SpecError, match="a whole home directory"):
            volume_sources(spec, SourceFinder())
    (home / ".npmrc").write_text("a=b")
    spec = parse_run(["--provider-config-rw", f"{link}/.npmrc:.npmrc", "--", "true"])
    (found,) = volume_sources(spec, SourceFinder())
    assert found.source.path == f"{home}/.npmrc"
    assert (found.read_only, found.executable, found.origin) == (False, False, "provider_config_rw")


def test_a_link_to_a_forbidden_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    spec = parse_run(["--provider-config-ro", f"{tmp_path}/link:.x", "--", "true"])
    with pytest.raises(SpecError, match="/etc of the host"):
        volume_sources(spec, SourceFinder())
