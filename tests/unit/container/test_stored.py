"""spec.json: what a container was asked to be survives its file; what came by a descriptor is in none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict
from nucleus.base.value import Value
from nucleus.container.running import stored
from nucleus.container.running.stored import ROWS
from nucleus.spec.container import ContainerSpec
from nucleus.spec.parse import from_mapping

RICH = {
    "command": ["sh", "-c", "echo 'ü'"], "name": "web", "label": ["team=a"], "env": {"A": "1", "B": ""},
    "memory": "512M", "cpus": 1.5, "ulimit": ["nofile=1024:4096"], "volume": ["/srv/data:/data:ro"],
    "provider_config_rw": ["/srv/agent:.config/agent"], "provider_config_ro": ["/srv/gitconfig:.gitconfig"],
    "tmpfs": ["/scratch:8M"], "secret": ["token=/srv/token"], "systemd_credential": ["db"],
    "additional_group": [44], "timeout": "10m",
    "io_limit": ["8:0 rbps=10M wiops=500"], "uidmap": ["1000:1000:1"], "gidmap": ["1000:1000:1"],
    "toolchain": ["/opt/node"], "workspace": "/srv/project", "allow_degraded_security": True,
}  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)


def test_a_spec_survives_its_file(directory: int) -> None:
    spec = from_mapping(RICH)
    stored.keep(directory, spec)
    assert stored.load(directory, "web") == spec


def test_a_run_in_the_foreground_leaves_the_names_of_its_variables_alone(
    directory: int, tmp_path: Path
) -> None:
    stored.keep(directory, from_mapping(RICH), variables=False)
    assert json.loads((tmp_path / "spec.json").read_text())["env"] == [["A", None], ["B", None]]
    with pytest.raises(Conflict, match="A, B"):
        stored.load(directory, "web")


def test_every_field_of_rows_is_known() -> None:
    spec = from_mapping(RICH)
    rows = {
        field
        for field, value in spec.as_dict().items()
        if isinstance(value, tuple) and any(isinstance(item, Value) for item in value)
    }
    assert rows == set(ROWS), "a row of a new kind of value needs its line in ROWS, and one in RICH"


def test_paths_are_kept_as_they_were_meant(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = from_mapping(
        {"command": ["true"], "workspace": ".", "volume": ["./data:/data"], "secret": ["a=./t"]}
    )
    stored.keep(directory, spec)
    monkeypatch.chdir("/")
    known = stored.load(directory, "web")
    assert known.workspace == str(tmp_path)
    assert known.volumes[0].source == f"{tmp_path}/data" and known.secrets[0].source == f"{tmp_path}/t"


def test_paths_of_a_run_are_meant_from_where_it_was_started(directory: int, tmp_path: Path) -> None:
    spec = from_mapping({"command": ["true"], "workspace": "w", "volume": ["../data:/data"]})
    (tmp_path / "spec.json").write_text(
        json.dumps({**spec.as_dict(), "cwd": "/srv/project"}, default=Value.as_dict)
    )
    known = stored.load(directory, "web")
    assert (known.workspace, known.volumes[0].source) == ("/srv/project/w", "/srv/data")


def test_values_by_descriptor_are_not_kept_and_the_option_is_named(directory: int, tmp_path: Path) -> None:
    stored.keep(directory, ContainerSpec(command=("true",), env_fd=4))
    assert json.loads((tmp_path / "spec.json").read_text())["env_fd"] == 4
    with pytest.raises(Conflict) as caught:
        stored.load(directory, "web")
    assert caught.value.where == "--env-fd" and caught.value.remedy


@pytest.mark.parametrize("text", [None, "", "{", "\xff"])
def test_without_a_spec_there_is_nothing_to_start_again(
    directory: int, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "spec.json").write_text(text)
    with pytest.raises(Conflict) as caught:
        stored.load(directory, "web")
    assert "not kept" in caught.value.message
