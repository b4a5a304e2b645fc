"""The one file of the command's modules: who may write it, when it is believed, and that it changes nothing else."""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import stat
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import pytest

from nucleus import imports, precompile

SOURCES = {
    "__init__.py": "'''A package of that name.'''\n",
    "plain.py": "class Thing:\n    pass\n\n\ndef fail() -> None:\n    raise ValueError('on line 6')\n",
    "room/__init__.py": "from .inner import VALUE\n",
    "room/inner.py": "VALUE = 'first'\n",
    "no package/stray.py": "VALUE = 'never found'\n",
    "room/libexec/stray.py": "VALUE = 'no package either'\n",
}
MODULES = ("nucleus.plain", "nucleus.room", "nucleus.room.inner", "nucleus")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small package with the name that the finder serves."""
    folder = tmp_path / "nucleus"
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, text)
    (folder / "__pycache__").mkdir()
    return folder


def write(path: Path, text: str, *, seconds_ago: float = 10) -> None:
    """A source whose last change is long enough ago to be believed."""
    path.write_text(text)
    then = time.time_ns() - int(seconds_ago * 1e9)
    os.utime(path, ns=(then, then))


def bundle(folder: Path) -> Path:
    return folder / "__pycache__" / imports.FILE


def write_file(folder: Path) -> bool:
    return precompile.renew(str(folder))


@pytest.fixture
def finders() -> Iterator[list[imports.Finder]]:
    """Finders of a test; their descriptors are closed behind it."""
    made: list[imports.Finder] = []
    yield made
    for finder in made:
        if finder._fd >= 0:
            os.close(finder._fd)


@pytest.fixture(autouse=True)
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that writes byte code, whatever the tests were started with."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


@pytest.fixture
def reading(writing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that writes no byte code."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def apart() -> Iterator[None]:
    """The modules of that name are the test's; the real ones come back afterwards."""
    real = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "nucleus"}
    for name in real:
        del sys.modules[name]
    meta_path, path = list(sys.meta_path), list(sys.path)
    yield
    sys.meta_path[:], sys.path[:] = meta_path, path
    for name in [name for name in sys.modules if name.partition(".")[0] == "nucleus"]:
        del sys.modules[name]
    sys.modules.update(real)


def found(finder: imports.Finder) -> dict[str, ModuleSpec | None]:
    return {name: finder.find_spec(name) for name in MODULES}


def value(finder: imports.Finder, name: str = "nucleus.room.inner") -> object:
    """What the module says by the finder's code; None where the ordinary finder has to look."""
    spec = finder.find_spec(name)
    if spec is None:
        return None
    assert isinstance(spec.loader, imports.Loader)
    names: dict[str, object] = {}
    code = spec.loader.get_code(name)
    assert code is not None
    exec(code, names)
    return names["VALUE"]


def load(folder: Path, finders: list[imports.Finder], name: str) -> ModuleType:
    """Imports it as the command would; what was changed since is for the ordinary finder."""
    assert write_file(folder)
    sys.dont_write_bytecode = True
    finders.append(imports.Finder(str(folder)))
    sys.meta_path.insert(0, finders[-1])
    sys.path.insert(0, str(folder.parent))
    return importlib.import_module(name)


def test_the_first_command_writes_the_file_and_the_next_one_reads_it(
    folder: Path, finders: list[imports.Finder], monkeypatch: pytest.MonkeyPatch
) -> None:
    finders.append(imports.Finder(str(folder)))
    assert all(found(finders[0]).values())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    finders.append(imports.Finder(str(folder)))
    assert all(found(finders[1]).values())
    assert finders[1].find_spec("nucleus.room.libexec.stray") is None
    assert finders[1].find_spec("nucleus.absent") is None
    assert finders[1].find_spec("json") is None


def test_a_module_says_of_itself_what_the_ordinary_finder_says(
    folder: Path, finders: list[imports.Finder]
) -> None:
    finders.append(imports.Finder(str(folder)))
    for name, spec in found(finders[0]).items():
        above = str((folder.parent / name.replace(".", "/")).parent)
        ordinary = PathFinder.find_spec(name, [above])
        assert spec is not None and ordinary is not None
        shown = [
            (s.name, s.origin, s.cached, s.has_location, s.parent, s.submodule_search_locations)
            for s in (spec, ordinary)
        ]
        assert shown[0] == shown[1]


@pytest.mark.usefixtures("apart")
def test_an_imported_module_is_like_any_other(folder: Path, finders: list[imports.Finder]) -> None:
    plain = load(folder, finders, "nucleus.plain")
    path = str(folder / "plain.py")
    assert plain.__spec__ is not None and isinstance(plain.__loader__, imports.Loader)
    assert plain.__file__ == path and plain.__package__ == "nucleus"
    assert inspect.getsource(plain.Thing) == "class Thing:\n    pass\n"
    assert type(pickle.loads(pickle.dumps(plain.Thing()))) is plain.Thing
    assert (
        plain.__loader__.get_code("nucleus.plain").co_filename == path
    )  # the second time, as a file's own loader
    with pytest.raises(ValueError, match="line 6") as raised:
        plain.fail()
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == (path, 6, "raise ValueError('on line 6')")
    room = importlib.import_module("nucleus.room")
    assert room.__path__ == [str(folder / "room")] and room.VALUE == "first"


@pytest.mark.usefixtures("apart")
def test_the_traceback_of_an_import_that_fails_shows_the_source_and_not_the_finder(
    folder: Path, finders: list[imports.Finder]
) -> None:
    write(folder / "broken.py", "VALUE = 1\nVALUE / 0\n")
    with pytest.raises(ZeroDivisionError) as raised:
        load(folder, finders, "nucleus.broken")
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert frames[-1].line == "VALUE / 0"
    assert not [frame for frame in frames if frame.filename == imports.__file__]


@pytest.mark.usefixtures("apart")
def test_a_reload_runs_the_source_of_now(folder: Path, finders: list[imports.Finder]) -> None:
    inner = load(folder, finders, "nucleus.room.inner")
    assert importlib.reload(inner).VALUE == "first"
    write(folder / "room" / "inner.py", "VALUE = 'again'\n", seconds_ago=5)
    assert importlib.reload(inner).VALUE == "again"


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [
        pytest.param("VALUE = 'longer than before'\n", 10, id="another size"),
        pytest.param("VALUE = 'other'\n", 9.9, id="the same size, within the same second"),
    ],
)
def test_a_source_that_changed_is_imported_by_itself(
    folder: Path, finders: list[imports.Finder], text: str, seconds_ago: float
) -> None:
    assert write_file(folder)
    finders.append(imports.Finder(str(folder)))
    write(folder / "room" / "inner.py", text, seconds_ago=seconds_ago)
    assert value(finders[0]) is None
    assert finders[0].find_spec("nucleus.plain")


def test_the_command_that_meets_a_changed_source_brings_the_file_up_to_date(
    folder: Path, finders: list[imports.Finder]
) -> None:
    assert write_file(folder)
    write(folder / "room" / "inner.py", "VALUE = 'other'\n", seconds_ago=9.9)
    write(folder / "added.py", "VALUE = 'added'\n")
    (folder / "plain.py").unlink()
    finders.append(imports.Finder(str(folder)))
    assert value(finders[0]) == "other"
    assert value(finders[0], "nucleus.added") == "added"
    assert finders[0].find_spec("nucleus.plain") is None


@pytest.mark.usefixtures("reading")
def test_a_source_of_this_very_moment_is_not_believed_to_stay(
    folder: Path, finders: list[imports.Finder]
) -> None:
    write(folder / "room" / "inner.py", "VALUE = 'young'\n", seconds_ago=0)
    assert write_file(folder)
    finders.append(imports.Finder(str(folder)))
    assert finders[0].find_spec("nucleus.plain") and value(finders[0]) is None


def test_a_source_that_is_no_python_keeps_no_other_out(folder: Path, finders: list[imports.Finder]) -> None:
    write(folder / "broken.py", "def (\n")
    finders.append(imports.Finder(str(folder)))
    assert all(found(finders[0]).values())
    assert finders[0].find_spec("nucleus.broken") is None


@pytest.mark.usefixtures("reading")
def test_a_file_that_is_cut_short_or_damaged_anywhere_is_passed_over(folder: Path) -> None:
    assert write_file(folder)
    whole = bundle(folder).read_bytes()
    cut = [whole[:at] for at in range(0, len(whole), 5)]
    for damaged in cut + [whole[:at] + b"?" + whole[at + 1 :] for at in range(0, len(whole), 11)]:
        bundle(folder).write_bytes(damaged)
        finder = imports.Finder(str(folder))
        assert value(finder) in ("first", None)
        if finder._fd >= 0:
            os.close(finder._fd)


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    "index",
    [
        pytest.param(7, id="no table"),
        pytest.param({"nucleus.plain": 7}, id="no entry"),
        pytest.param({"nucleus.plain": (False, 0, 0, 1 << 70, -1, b"")}, id="no place"),
        pytest.param({"nucleus.plain": "code"}, id="no code"),
    ],
)
def test_a_file_with_right_hashes_around_nonsense_is_passed_over(
    folder: Path, finders: list[imports.Finder], index: object
) -> None:
    import marshal

    part = marshal.dumps("no code")
    if index == {"nucleus.plain": "code"}:
        status = (folder / "plain.py").stat()
        entry = (
            False,
            status.st_size,
            status.st_mtime_ns,
            imports.HEADER,
            len(part),
            imports.digest_of(part),
        )
        index = {"nucleus.plain": entry}
    marshalled = marshal.dumps(index)
    place = (imports.HEADER + len(part)).to_bytes(4, "little") + len(marshalled).to_bytes(4, "little")
    digest = imports.digest_of(marshalled)
    bundle(folder).write_bytes(imports.MAGIC + place + digest + part + marshalled)
    finders.append(imports.Finder(str(folder)))
    assert finders[0].find_spec("nucleus.plain") is None


def test_a_damaged_file_is_replaced(folder: Path, finders: list[imports.Finder]) -> None:
    assert write_file(folder)
    whole = bundle(folder).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"NUCMODS0" + whole[8:], bytes(len(whole))):
        bundle(folder).write_bytes(damaged)
        finders.append(imports.Finder(str(folder)))
        assert value(finders[-1]) == "first"
        assert bundle(folder).read_bytes() == whole


def test_the_file_is_written_with_the_mode_of_its_sources_and_nothing_stays_beside_it(folder: Path) -> None:
    (folder / "__init__.py").chmod(0o440)
    before = os.umask(0o022)
    try:
        assert write_file(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(bundle(folder).stat().st_mode) == 0o640
    assert os.listdir(folder / "__pycache__") == [imports.FILE]


def test_two_writers_at_once_leave_one_whole_file(folder: Path, finders: list[imports.Finder]) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: write_file(folder), range(32)))
    assert os.listdir(folder / "__pycache__") == [imports.FILE]
    finders.append(imports.Finder(str(folder)))
    assert value(finders[0]) == "first"


@pytest.mark.parametrize("path", ["", "__pycache__"])
@pytest.mark.parametrize("owner", [True, False], ids=["writable by others", "of somebody else"])
def test_nothing_is_written_where_somebody_else_could_exchange_it(
    folder: Path, finders: list[imports.Finder], monkeypatch: pytest.MonkeyPatch, path: str, owner: bool
) -> None:
    if owner:
        (folder / path).chmod(0o777)
    else:
        own = os.fstat

        def foreign(fd: int) -> os.stat_result:
            status = own(fd)
            mine = status.st_ino != (folder / path).stat().st_ino
            return status if mine else os.stat_result([*status[:4], status.st_uid + 1, *status[5:]])

        monkeypatch.setattr(os, "fstat", foreign)
    finders.append(imports.Finder(str(folder)))
    assert finders[0].find_spec("nucleus.plain") is None
    assert os.listdir(folder / "__pycache__") == []


@pytest.mark.usefixtures("reading")
def test_nobody_writes_who_keeps_no_byte_code(folder: Path, finders: list[imports.Finder]) -> None:
    finders.append(imports.Finder(str(folder)))
    assert finders[0].find_spec("nucleus.plain") is None
    assert os.listdir(folder / "__pycache__") == []


def test_a_full_disk_is_no_error(
    folder: Path, finders: list[imports.Finder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    finders.append(imports.Finder(str(folder)))
    assert finders[0].find_spec("nucleus.plain") is None
    assert os.listdir(folder / "__pycache__") == []


def test_the_open_file_is_out_of_the_way_and_goes_to_no_other_program(
    folder: Path, finders: list[imports.Finder]
) -> None:
    assert write_file(folder)
    finders.append(imports.Finder(str(folder)))
    assert finders[0]._fd >= 100
    assert not os.get_inheritable(finders[0]._fd)
