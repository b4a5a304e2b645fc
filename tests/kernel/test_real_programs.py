"""Real programs under the profile `default`: each job's output inside equals, byte for byte, its output outside."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_jobs import JOBS, Job
from sandboxes import COMMAND, Boxes

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT_S = 300
NOBODY = 65534
PACKAGES = Path(pytest.__file__).resolve().parents[1]
ALL = pytest.mark.parametrize("name", JOBS)


def prepare(folder: Path, job: Job) -> None:
    """The files that the job starts from."""
    folder.mkdir(parents=True)
    for name, content in job.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "job.sh").write_text(job.script)


@pytest.fixture(scope="session")
def outside() -> Iterator[dict[str, bytes]]:
    """What each job prints outside, kept for the session."""
    known: dict[str, bytes] = {}
    yield known


def run_outside(known: dict[str, bytes], name: str, job: Job) -> bytes:
    """As the caller; as nobody where root is refused."""
    if name in known:
        return known[name]
    with tempfile.TemporaryDirectory(prefix="nucleus-outside-") as folder:
        work, home = Path(folder, "work"), Path(folder, "home")
        prepare(work, job)
        home.mkdir()
        become: list[str] = []
        if os.geteuid() == 0 and job.as_ordinary_user:
            become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            os.chmod(folder, 0o711)
            for path in (work, home):
                os.chown(path, NOBODY, NOBODY)
        environment = {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm"}
        if job.with_pytest:
            environment["PYTHONPATH"] = str(PACKAGES)
        done = subprocess.run(
            [*become, "sh", "-c", 'umask 022; ulimit -c 0; exec "$@"', "sh", *job.shell, "job.sh"],
            cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout
    known[name] = done.stdout
    return done.stdout


def flags_of(job: Job, workspace: Path) -> list[str]:
    """The flags of `nucleus run`: the profile is the default one."""
    flags = ["--workspace", str(workspace), *job.flags]
    if job.with_pytest:
        flags += ["--toolchain", str(PACKAGES), "--env", f"PYTHONPATH={PACKAGES}"]
    return flags


def show(capsys: pytest.CaptureFixture[str], name: str, flags: list[str]) -> None:
    with capsys.disabled():
        print(f"\n{name}: nucleus run {shlex.join(flags)} -- …")


@pytest.mark.identity("root", "user")
@ALL
def test_a_job_prints_inside_what_it_prints_outside(
    boxes: Boxes, name: str, outside: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    job = JOBS[name]
    workspace = boxes.folder / "work"
    prepare(workspace, job)
    flags = flags_of(job, workspace)
    show(capsys, name, flags)
    result = boxes.run("--timeout", f"{LIMIT_S}s", *flags, "--", *job.shell, "job.sh")
    assert result.exit_code == 0, (result.reason, result.out, result.err)
    assert result.stdout.decode() == run_outside(outside, name, job).decode()
    assert result.degraded == ()


@pytest.mark.identity("root")
@ALL
def test_a_job_prints_the_same_while_its_calls_are_recorded(
    boxes: Boxes, name: str, outside: dict[str, bytes]
) -> None:
    job = JOBS[name]
    workspace, log = boxes.folder / "work", boxes.folder / "calls.jsonl"
    prepare(workspace, job)
    flags = ("--seccomp-mode", "trace", "--seccomp-log", str(log), *flags_of(job, workspace))
    result = boxes.run("--timeout", f"{LIMIT_S}s", *flags, "--", *job.shell, "job.sh")
    assert result.exit_code == 0, (result.reason, result.out, result.err)
    assert result.stdout.decode() == run_outside(outside, name, job).decode()
    assert '{"end":"complete"' in log.read_text()


@pytest.fixture(scope="session")
def system() -> Iterator[Path]:
    """A root file system: /usr as a mount point for the host's, an /etc of its own."""
    top = Path(tempfile.mkdtemp(prefix="nucleus-rootfs-"))
    top.chmod(0o755)
    (top / "usr").mkdir()
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            (top / name).symlink_to(os.readlink(f"/{name}"))
    (top / "etc").mkdir()
    for name in (
        "alternatives",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "ssl",
        "perl",
        "python3",
        "mime.types",
    ):
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(
                source, top / "etc" / name, symlinks=True, ignore=shutil.ignore_patterns("private")
            )
        elif source.exists():
            shutil.copy2(source, top / "etc" / name)
    (top / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000::/home/agent:/bin/sh\n"
    )
    (top / "etc" / "group").write_text("root:x:0:\ntester:x:1000:\n")
    (top / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    yield top
    shutil.rmtree(top)


@pytest.mark.identity("root")
@ALL
def test_a_job_prints_the_same_with_a_rootfs(
    boxes: Boxes, system: Path, name: str, outside: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    job = JOBS[name]
    workspace = boxes.folder / "work"
    prepare(workspace, job)
    flags = [*flags_of(job, workspace), "--rootfs", str(system)]
    show(capsys, name, flags)
    # The mount exists in a namespace of its own, and ends with it.
    script = f'mount --make-rprivate / && mount --bind /usr {shlex.quote(str(system / "usr"))} && exec "$@"'
    words = [str(COMMAND), "run", "--root", str(boxes.root), "--rm", "--timeout", f"{LIMIT_S}s", *flags]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *words, "--", *job.shell, "job.sh"],
        stdin=subprocess.DEVNULL, capture_output=True, env=boxes.environment, timeout=LIMIT_S + 30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout.decode() == run_outside(outside, name, job).decode()
