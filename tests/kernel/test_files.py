"""What comes in and out: workspace, context, volumes, tmpfs, toolchain, rootfs; whose files they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from sandboxes import Boxes

AS_ROOT = pytest.mark.identity("root", "vm-root")
AS_USER = pytest.mark.identity("user", "nosub", "nested", "vm-user")


def shell(boxes: Boxes, script: str, *flags: str) -> str:
    result = boxes.run(*flags, "--", "sh", "-c", script)
    assert result.exit_code == 0, result.err
    return result.out


# ---- workspace ----


@AS_ROOT
@pytest.mark.parametrize("owner", [0, 1000, 4242])
@pytest.mark.parametrize("user", ["1000", "0", "33"])
def test_what_the_workload_writes_belongs_to_the_workspace_s_owner(
    boxes: Boxes, owner: int, user: str
) -> None:
    workspace = boxes.directory("work", (owner, owner))
    workspace.chmod(0o700)
    script = (
        "echo new >file; mkdir dir; echo more >dir/file; ln -s file link; cp file copy; stat -c %u . file dir"
    )
    target = ("--tmpfs", "/workspace/made/target")
    inside = shell(boxes, script, "--workspace", str(workspace), "--user", user, *target)
    assert inside.split() == [user] * 3
    made = [workspace / name for name in ("file", "dir", "dir/file", "link", "copy", "made", "made/target")]
    assert {(s.st_uid, s.st_gid) for path in made if (s := path.lstat())} == {(owner, owner)}


@AS_USER
def test_what_the_workload_of_a_user_writes_is_that_user_s(boxes: Boxes) -> None:
    workspace = boxes.directory("work")
    words = ("--workspace", str(workspace), "--tmpfs", "/workspace/made/target")
    shell(boxes, "echo new >file; mkdir dir; echo more >dir/file", *words)
    made = [workspace / name for name in ("file", "dir", "dir/file", "made", "made/target")]
    assert {(s.st_uid, s.st_gid) for path in made if (s := path.stat())} == {(os.getuid(), os.getgid())}


def test_existing_files_can_be_changed_renamed_and_removed(boxes: Boxes) -> None:
    workspace = boxes.directory("work")
    (workspace / "old").write_text("old\n")
    (workspace / "gone").write_text("")
    (workspace / "dir").mkdir()
    shell(boxes, "echo new >>old; mv old dir/moved; rm gone", "--workspace", str(workspace))
    assert (workspace / "dir" / "moved").read_text() == "old\nnew\n"
    assert sorted(p.name for p in workspace.iterdir()) == ["dir"]


def test_the_workload_starts_in_its_workspace(boxes: Boxes) -> None:
    workspace = boxes.directory("work")
    (workspace / "sub").mkdir()
    assert shell(boxes, "pwd", "--workspace", str(workspace)) == "/workspace\n"
    assert (
        shell(boxes, "pwd", "--workspace", str(workspace), "--workdir", "/workspace/sub")
        == "/workspace/sub\n"
    )
    assert shell(boxes, "pwd; echo $HOME") == "/home/agent\n/home/agent\n"


@pytest.mark.parametrize("how", ["mode", "suffix"])
def test_a_read_only_workspace_stays_as_it_is(boxes: Boxes, how: str) -> None:
    workspace = boxes.directory("work")
    (workspace / "file").write_text("text")
    flags = ("--workspace", f"{workspace}:ro") if how == "suffix" else (
        *("--workspace", str(workspace)), *("--workspace-mode", "bind-ro"),
    )  # fmt: skip
    answers = boxes.probe(
        "read /workspace/file",
        "write /workspace/file",
        "create /workspace/new",
        "unlink /workspace/file",
        flags=flags,
    )
    assert [lines[0] in (("OK",) if n == 0 else ("EROFS", "EACCES")) for n, lines in enumerate(answers)] == [
        True
    ] * 4
    assert (workspace / "file").read_text() == "text"


@pytest.mark.parametrize(
    ("flags", "answer"), [((), "OK"), (("--workspace-exec=false",), "EACCES")], ids=["exec", "noexec"]
)
def test_programs_of_the_workspace_run_unless_that_was_refused(
    boxes: Boxes, flags: tuple[str, ...], answer: str
) -> None:
    workspace = boxes.directory("work")
    shutil.copy2(boxes.probe_folder / "probe", workspace / "program")
    assert boxes.probe("exec /workspace/program", flags=("--workspace", str(workspace), *flags))[0] == [
        answer
    ]


PROTECTED = (".git/config", ".git/hooks/pre-commit", ".envrc", ".mcp.json", ".vscode/tasks.json")


def configured(boxes: Boxes) -> Path:
    workspace = boxes.directory("work")
    for name in (*PROTECTED, ".git/HEAD"):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("of the host\n")
    return workspace


def test_files_that_configure_the_host_s_tools_are_read_only(boxes: Boxes) -> None:
    workspace = configured(boxes)
    verbs = [f"{verb} /workspace/{name}" for name in PROTECTED for verb in ("write", "unlink")]
    verbs += [
        "create /workspace/.git/hooks/new",
        "create /workspace/.vscode/new",
        "rename /workspace/.git/hooks /workspace/x",
    ]
    answers = boxes.probe(*verbs, "write /workspace/.git/HEAD", flags=("--workspace", str(workspace)))
    assert {lines[0] for lines in answers[:-1]} <= {"EROFS", "EBUSY", "EACCES", "EXDEV"}
    assert answers[-1] == ["OK"]
    assert {(workspace / name).read_text() for name in PROTECTED} == {"of the host\n"}


@pytest.mark.identity("root", "user", "nosub", "nested")  # git makes the repository; guests have none
def test_no_directory_above_them_can_be_put_aside(boxes: Boxes) -> None:
    workspace = configured(boxes)
    flags = ("--workspace", str(workspace))
    answers = boxes.probe("rename /workspace/.git /workspace/x", "mkdir /workspace/.git/new", flags=flags)
    assert answers == [["EBUSY"], ["OK"]]
    script = "git config --global user.name a; git config --global user.email a@b; git add -A && git commit -qm all"
    (workspace / ".git").rename(workspace / "aside")
    subprocess.run(["git", "init", "--quiet", str(workspace)], check=True, env=boxes.environment)
    assert shell(boxes, f"{script}; git log --format=%s; git gc -q && git fsck", *flags) == "all\n"


def test_a_protected_name_that_is_a_link_stays_that_link_and_what_it_leads_to_is_read_only(
    boxes: Boxes,
) -> None:
    workspace = boxes.directory("work")
    (workspace / "repo/hooks").mkdir(parents=True)
    for name in ("repo/config", "repo/HEAD", "env"):
        (workspace / name).write_text("of the host\n")
    leads = {".git": "repo", ".envrc": "env", ".npmrc": "/usr/npmrc", ".bashrc": "gone"}
    for name, place in leads.items():
        (workspace / name).symlink_to(place)
    kept = [f"{verb} /workspace/{name}" for name in leads for verb in ("unlink", "rename")]
    kept = [f"{v} /workspace/x" if v.startswith("rename") else v for v in kept]
    kept += [f"write /workspace/{n}" for n in ("repo/config", ".git/config", ".envrc", "env")]
    kept += [
        "create /workspace/.git/hooks/new",
        "rename /workspace/repo /workspace/x",
        "unlink /workspace/env",
    ]
    answers = boxes.probe(*kept, "write /workspace/.git/HEAD", flags=("--workspace", str(workspace)))
    assert {lines[0] for lines in answers[:-1]} <= {"EROFS", "EBUSY", "EACCES", "EXDEV"}, answers
    assert answers[-1] == ["OK"]
    assert {name: os.readlink(workspace / name) for name in leads} == leads
    shown = shell(boxes, "readlink .git .envrc; cat .envrc", "--workspace", str(workspace))
    assert shown == "repo\nenv\nof the host\n"


def test_the_file_that_says_where_a_repository_is_stays_as_it_is(boxes: Boxes) -> None:
    workspace = boxes.directory("work")
    (workspace / ".git").write_text("gitdir: /elsewhere\n")
    verbs = ("write /workspace/.git", "unlink /workspace/.git", "rename /workspace/.git /workspace/x")
    answers = boxes.probe(*verbs, flags=("--workspace", str(workspace)))
    assert {lines[0] for lines in answers} <= {"EROFS", "EBUSY", "EACCES", "EXDEV"}


def test_they_can_be_given_free(boxes: Boxes) -> None:
    workspace = configured(boxes)
    flags = ("--workspace", str(workspace), "--allow-workspace-config")
    answers = boxes.probe(*[f"write /workspace/{name}" for name in PROTECTED], flags=flags)
    assert {lines[0] for lines in answers} == {"OK"}


def test_a_link_of_the_workspace_leads_nowhere_outside(boxes: Boxes) -> None:
    workspace, outside = boxes.directory("work"), boxes.directory("outside")
    (outside / "file").write_text("of the host")
    outside.chmod(0o755)
    (workspace / "link").symlink_to(outside / "file")
    (workspace / "up").symlink_to("../outside/file")
    answers = boxes.probe("read /workspace/link", "read /workspace/up", flags=("--workspace", str(workspace)))
    assert answers == [["ENOENT"], ["ENOENT"]]


# ---- context ----

LEFT_OUT = (
    ".git/config", ".env", ".env.local", ".ssh/id_ed25519", ".aws/credentials", "id_rsa", ".npmrc",
    "node_modules/x/index.js", "key.pem", "server.key", "my-secret.txt", "credentials.json",
    "__pycache__/m.pyc", ".netrc", ".kube/config",
)  # fmt: skip


@pytest.fixture
def context(boxes: Boxes) -> Path:
    """A directory with what belongs into a context and what does not."""
    made = boxes.directory("input")
    for name in (*LEFT_OUT, "src/main.py", "README"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    (made / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(made / "pipe")
    return made


def test_a_copied_context_has_no_links_repositories_or_credentials(boxes: Boxes, context: Path) -> None:
    found = shell(
        boxes, "cd /context; find . -not -type d | sort; cat src/main.py", "--context", str(context)
    )
    assert found.split() == ["./README", "./run.sh", "./src/main.py", "src/main.py"]


def test_a_copied_context_is_a_snapshot(boxes: Boxes, context: Path) -> None:
    script = "echo ready; read x; cat /context/README"
    process = boxes.start("--rm", "--context", str(context), "--", "sh", "-c", script, stdin=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    (context / "README").write_text("changed")
    assert process.communicate("go\n", timeout=60)[0] == "README"


@pytest.mark.parametrize("mode", ["copy", "bind"])
def test_a_context_is_never_written_or_executed(boxes: Boxes, context: Path, mode: str) -> None:
    answers = boxes.probe(
        "write /context/README", "create /context/new", "exec /context/run.sh", "read /context/README",
        flags=("--context", str(context), "--context-mode", mode),
    )  # fmt: skip
    assert answers[0][0] in ("EROFS", "EACCES") and answers[1][0] in ("EROFS", "EACCES")
    assert answers[2:] == [["EACCES"], ["OK"]]


def test_a_bound_context_shows_the_directory_itself(boxes: Boxes, context: Path) -> None:
    flags = ("--context", str(context), "--context-mode", "bind")
    assert ".env" in shell(boxes, "ls -A /context", *flags).split()


# ---- volumes, tmpfs, toolchains ----


def test_a_volume_is_writable_unless_it_is_read_only(boxes: Boxes) -> None:
    data, fixed = boxes.directory("data"), boxes.directory("fixed")
    (fixed / "file").write_text("text")
    flags = ("--volume", f"{data}:/data", "--volume", f"{fixed}:/opt/fixed:ro")
    answers = boxes.probe(
        "create /data/new",
        "read /opt/fixed/file",
        "write /opt/fixed/file",
        "create /opt/fixed/new",
        flags=flags,
    )
    assert [lines[0] for lines in answers[:2]] == ["OK", "OK"]
    assert {lines[0] for lines in answers[2:]} <= {"EROFS", "EACCES"}
    assert (data / "new").stat().st_uid == data.stat().st_uid


def test_a_volume_may_be_a_single_file(boxes: Boxes) -> None:
    source = boxes.folder / "settings"
    source.write_text("a=1\n")
    assert (
        shell(boxes, "cat /data/settings; ls /data", "--volume", f"{source}:/data/settings:ro")
        == "a=1\nsettings\n"
    )


@pytest.mark.identity("root", "user", "nosub", "nested")
@pytest.mark.parametrize("source", ["/etc", "/etc/passwd", "/proc", "/dev", "/run", "/sys", "/var/log", "/"])
def test_the_host_s_own_places_never_come_in(boxes: Boxes, source: str) -> None:
    ran = boxes.cli("run", "--volume", f"{source}:/data", "--", "true")
    assert ran.code == 125
    assert "--volume" in ran.err and "remedy" in ran.err


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_link_does_not_bring_them_in_either(boxes: Boxes) -> None:
    link = boxes.folder / "harmless"
    link.symlink_to("/etc")
    assert boxes.cli("run", "--volume", f"{link}:/data", "--", "true").code == 125


def test_a_tmpfs_is_empty_writable_and_runs_programs(boxes: Boxes) -> None:
    script = "ls -A /scratch | wc -l; cp /bin/true /scratch/t && /scratch/t && echo ran; stat -c %a /scratch"
    assert shell(boxes, script, "--tmpfs", "/scratch:16M").split() == ["0", "ran", "1777"]


def test_a_read_only_tmpfs_is_read_only(boxes: Boxes) -> None:
    assert boxes.probe("create /scratch/new", flags=("--tmpfs", "/scratch:1M:ro"))[0][0] in (
        "EROFS",
        "EACCES",
    )


@pytest.mark.parametrize("behind_a_link", [False, True], ids=["plain", "below /var/tmp"])
def test_a_toolchain_lies_at_its_own_path_and_runs(boxes: Boxes, behind_a_link: bool) -> None:
    if behind_a_link:  # which is a link inside
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            Path(folder).chmod(0o755)
            runs_as_toolchain(boxes, Path(folder, "tools"))
    else:
        runs_as_toolchain(boxes, boxes.directory("tools"))


def runs_as_toolchain(boxes: Boxes, top: Path) -> None:
    tools = top / "bin"
    tools.mkdir(parents=True)
    shutil.copy2(boxes.probe_folder / "probe", tools / "look")
    result = boxes.run("--toolchain", str(top), "--", f"{tools}/look", "ids", ",", "create", f"{top}/new")
    answers = boxes.answers(result.out, 2)
    assert answers[0][0].startswith("1000 1000")
    assert answers[1][0] in ("EROFS", "EACCES")


def test_usr_is_the_host_s_and_read_only(boxes: Boxes) -> None:
    answers = boxes.probe(
        "exec /bin/true", "exec /usr/bin/env", "create /usr/new", "create /usr/bin/new", "create /etc/new"
    )
    assert answers[:2] == [["OK"], ["OK"]]
    assert {lines[0] for lines in answers[2:]} <= {"EROFS", "EACCES"}


def test_the_devices_are_the_few_that_programs_need(boxes: Boxes) -> None:
    names = sorted(shell(boxes, "ls /dev").split())
    assert names == [
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ]  # fmt: skip
    script = "echo x >/dev/null; head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c"
    script += "; echo y >/dev/full || echo full"
    assert shell(boxes, script + "; echo z >/dev/shm/f && cat /dev/shm/f").split() == ["3", "5", "full", "z"]


# ---- rootfs ----


@pytest.fixture
def rootfs(boxes: Boxes) -> Path:
    """A root file system of busybox alone, with accounts of its own."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "package busybox-static"
    top = boxes.directory("rootfs")
    for name in ("bin", "etc", "usr/bin", "var/empty"):
        (top / name).mkdir(parents=True)
    shutil.copy2(busybox, top / "bin" / "busybox")
    for name in ("sh", "cat", "id", "ls", "touch", "mount", "echo"):
        (top / "bin" / name).symlink_to("busybox")
    (top / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n")
    (top / "etc" / "group").write_text("root:x:0:\nweb:x:34:\nextra:x:77:\n")
    return top


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_rootfs_replaces_usr_and_etc(boxes: Boxes, rootfs: Path) -> None:
    out = shell(boxes, "ls /bin | wc -w 2>/dev/null; cat /etc/group; ls /usr", "--rootfs", str(rootfs))
    assert out.split("\n", 1)[1] == "root:x:0:\nweb:x:34:\nextra:x:77:\nbin\n"


@pytest.mark.identity("root", "user")
def test_names_are_looked_up_in_the_rootfs(boxes: Boxes, rootfs: Path) -> None:
    flags = ("--rootfs", str(rootfs), "--user", "web", "--additional-group", "extra")
    assert shell(boxes, "id -u; id -g; id -G", *flags).split() == ["33", "34", "34", "77"]
    assert boxes.cli("run", "--rootfs", str(rootfs), "--user", "agent", "--", "sh").code == 125


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_rootfs_is_read_only(boxes: Boxes, rootfs: Path) -> None:
    flags = ("--rootfs", str(rootfs))
    answers = boxes.probe(
        "create /bin/new", "create /etc/new", "write /etc/passwd", "create /tmp/new", flags=flags
    )
    assert {lines[0] for lines in answers[:3]} <= {"EROFS", "EACCES"}
    assert answers[3] == ["OK"]
    assert not (rootfs / "bin" / "new").exists()


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_the_whole_host_is_no_rootfs(boxes: Boxes) -> None:
    assert boxes.cli("run", "--rootfs", "/", "--", "true").code == 125
