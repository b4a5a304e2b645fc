"""Guest images and the emulator: where they are kept, and how they come to be.  ✗ starts no guest.

Everything lies in one cache outside the checkout. An image's folder is named after the content of the files
it is built from and appears by one rename, so none is seen half-built; a lock makes the second caller wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNELS = ("6.1", "6.12")
IMAGES_KEPT = 2
BUILT_FROM = ("build-image.sh", "configure-guest.sh", "stage-init", "agent.c")
# QEMU 7.2 corrupts guests with a 6.12 kernel; see fetch-emulator.sh.
EMULATOR_AT_LEAST = 8


class GuestUnavailable(Exception):
    """No guest could be had: its image cannot be built, or it does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A qemu program, how it finds its firmware, and its version line (a saved state fits one version)."""

    program: Path
    arguments: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built guest: kernel, initramfs and root disk in one folder; saved states come to lie beside them."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "stage.cpio"

    @property
    def root_disk(self) -> Path:
        return self.folder / "root.ext4"

    def is_whole(self) -> bool:
        return self.kernel.exists() and self.initrd.exists() and self.root_disk.exists()


def cache_folder() -> Path:
    """VM_CACHE, else nucleus-vm in the user's own cache: a fresh clone finds what an older one built."""
    named = os.environ.get("VM_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(named) if named else Path(base) / "nucleus-vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[int]:
    """Holds an advisory lock on `path`; the kernel drops it when the holder dies, however it dies.

    Yields its descriptor: a child that inherits it holds the lock as well, also when its parent is gone.
    wait: without, BlockingIOError is raised when another holds it.
    """
    with path.open("a") as file:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield file.fileno()


def tool(name: str) -> str:
    """The path of a system program, also where an ordinary user's PATH leaves out the sbin folders."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise GuestUnavailable(f"{name} is not installed; run tools/setup-vm.sh")
    return found


def image_key(kernel: str) -> str:
    """Names the content an image of this kernel would be built from."""
    digest = hashlib.sha256(kernel.encode())
    for name in BUILT_FROM:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:12]


def image_for(kernel: str) -> Image:
    """The image of `kernel`, built first where it is missing or not whole (about a minute)."""
    cache = cache_folder()
    key = image_key(kernel)
    image = Image(folder=cache / f"image-{kernel}-{key}")
    if not image.is_whole():
        with locked(cache / "lock") as lock:
            if not image.is_whole():
                _build([str(HERE / "build-image.sh"), kernel, str(cache), key], lock)
                _forget_old_images(cache, kernel, image)
    return image


def emulator() -> Emulator:
    """VM_QEMU, else the installed qemu where it is new enough, else one unpacked into the cache."""
    named = os.environ.get("VM_QEMU")
    installed = Path(named or tool("qemu-system-x86_64"))
    version = _version(installed)
    if named or int(version.split("version ")[1].split(".")[0]) >= EMULATOR_AT_LEAST:
        return Emulator(program=installed, arguments=(), version=version)
    cache = cache_folder()
    folder = cache / "emulator"
    if not folder.exists():
        with locked(cache / "lock") as lock:
            if not folder.exists():
                _build([str(HERE / "fetch-emulator.sh"), str(cache)], lock)
    program = folder / "qemu-system-x86_64"
    return Emulator(program=program, arguments=("-L", str(folder / "bios")), version=_version(program))


def _version(program: Path) -> str:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if answer.returncode or "version " not in answer.stdout:
        raise GuestUnavailable(f"{program} does not run: {answer.stderr.strip()}; run tools/setup-vm.sh")
    return answer.stdout.splitlines()[0]


def _build(command: list[str], lock: int) -> None:
    """Runs a builder. What it starts inherits the lock, as it may outlive a killed caller and still write."""
    name = os.path.basename(command[0])
    if os.geteuid() != 0:  # files of many owners go into the image
        command = ["sudo", *command]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, pass_fds=(lock,), check=False
    )
    if result.returncode:
        raise GuestUnavailable(f"{name} failed; is everything installed? tools/setup-vm.sh")


def _forget_old_images(cache: Path, kernel: str, newest: Image) -> None:
    """Removes images of other contents. A guest that runs from one keeps its open files."""
    others = [folder for folder in cache.glob(f"image-{kernel}-*") if folder != newest.folder]
    others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in others[IMAGES_KEPT - 1 :]:
        shutil.rmtree(folder)
