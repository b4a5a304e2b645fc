"""THE table of attacks from inside: what is tried, the layers that each stop it alone, and what stands behind them.

docs/reference/attacks.md is made of it (tools/gen_attacks_page.py); test_escapes.py runs it.  ✗ no tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from nucleus.policy.syscall_tables import TABLES

# Layer → what it is, as the page of attacks tells it.
LAYERS = {
    "seccomp": "the system call filter",
    "landlock": "Landlock's rules and scopes",
    "userns-limit": "no further user namespace can be made (max_user_namespaces is 0)",
    "capabilities": "no capability, and a bounding set without any",
    "read-only": "mounts, the root and /proc are read-only",
    "noexec": "mounts without execution",
    "masks": "files of /proc are hidden",
    "keyring": "a session keyring of its own",
    "network": "a network namespace of its own",
}
# What else stops an attack when every layer of its row is switched off.
USERNS = "the user namespace: the kernel asks for the capability on the host"
OWNER = "the files' owner is an id that the container does not have"
UNDUMPABLE = "init is not dumpable, so nobody inside may look into it"

PYTHON = "import ctypes, os, socket\nlibc = ctypes.CDLL(None, use_errno=True)\n"


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    tries    the probe's name of a system call; or `script`, Python that prints `through` when it has succeeded
    layers   each of them stops it, whatever became of the others
    beyond   what stops it when all of `layers` are switched off; "" when nothing does, and then it must succeed
    alone    why there is one layer and no second; "" where there are two, or one and `beyond`
    certain  whether what happens without any layer is the same on every host
    proof    the tests that run it, FILE::FUNCTION, where it is not run from this table
    flags    of `nucleus run`
    """

    name: str
    tries: str = ""
    script: str = ""
    layers: tuple[str, ...] = ()
    beyond: str = ""
    alone: str = ""
    certain: bool = True
    proof: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def _calls(names: str, *layers: str, beyond: str = "", alone: str = "") -> Iterator[Attack]:
    for name in names.split():
        yield Attack(
            name=f"system call: {name.replace('_', ' ')}",
            tries=name,
            layers=layers,
            beyond=beyond,
            alone=alone,
        )


def _opens(path: str, word: str) -> str:
    """Python that writes `word` to a file."""
    return f"open({path!r}, 'w').write({word!r})\nprint('through')\n"


# Of this run alone: others may try the same at this moment.
SOCKET = f"nucleus-escape-{os.getpid()}"
KEYCTL, SEARCH, SESSION = TABLES[os.uname().machine]["keyctl"], 10, -3
KERNEL = "nothing of the host is behind it: it is refused because such code has had holes"

ATTACKS: tuple[Attack, ...] = (
    # ---- mounts and roots
    *_calls("mount bind_mount remount umount", "seccomp", "capabilities", "landlock"),
    *_calls("open_tree fsopen mount_setattr chroot", "seccomp", "capabilities"),
    Attack(
        name="a new procfs, in which nothing is hidden",
        script=PYTHON + "if libc.mount(b'p', b'/tmp', b'proc', 0, None) == 0: print('through')\n",
        layers=("seccomp", "capabilities", "landlock"),
    ),
    Attack(
        name="cgroup files, for release_agent or another group",
        script=PYTHON
        + "print('through' if ' - cgroup' in open('/proc/self/mountinfo').read()"
        " or libc.mount(b'c', b'/tmp', b'cgroup2', 0, None) == 0 else '')\n",
        layers=("seccomp", "capabilities", "landlock"),
    ),
    # ---- namespaces
    *_calls("unshare_net unshare_mount", "seccomp", "capabilities"),
    *_calls("unshare_user clone_user", "seccomp", "userns-limit"),
    *_calls("sethostname", "seccomp", "capabilities"),
    # ---- the host's kernel
    *_calls(
        "init_module kexec_load swapon acct settimeofday syslog perf_event_open",
        "seccomp", "capabilities", beyond=USERNS,
    ),
    *_calls("ptrace_init pidfd_getfd", "seccomp", beyond=UNDUMPABLE),
    Attack(
        name="files by their handles, past every directory",
        script=PYTHON + """
handle, mount = (ctypes.c_uint * 34)(128), ctypes.c_int()
if libc.name_to_handle_at(-100, b'/usr', handle, ctypes.byref(mount), 0) == 0:
    if libc.open_by_handle_at(os.open('/usr', os.O_RDONLY), handle, 0) >= 0: print('through')
""",
        layers=("seccomp", "capabilities"), beyond=USERNS,
    ),
    *_calls("io_uring memfd_secret", "seccomp", alone=KERNEL),
    *_calls("read_implies_exec", "seccomp", alone="it changes the caller's own memory alone"),
    Attack(
        name="system call: bpf", tries="bpf", layers=("seccomp",), certain=False,
        alone="the kernel's own switch for it, kernel.unprivileged_bpf_disabled, is the host's to set",
    ),
    Attack(
        name="system call: fanotify", tries="fanotify", layers=("seccomp", "capabilities"), beyond=USERNS,
    ),
    *_calls("mknod_device", "capabilities", "landlock", beyond=USERNS),
    # ---- the caller's own
    Attack(
        name="a key of the caller's session keyring",
        script=PYTHON + f"key = libc.syscall({KEYCTL}, {SEARCH}, {SESSION}, b'user', b'nucleus-escape', 0)\n"
        "print('through' if key > 0 else '')\n",
        layers=("seccomp", "keyring"),
    ),
    # ---- files
    Attack(
        name="a core_pattern of one's own", script=_opens("/proc/sys/kernel/core_pattern", "|/tmp/x"),
        layers=("read-only", "landlock"), beyond=OWNER,
    ),
    Attack(
        name="sysrq", script=_opens("/proc/sysrq-trigger", "h"),
        layers=("masks", "read-only", "landlock"), beyond=OWNER,
    ),
    Attack(
        name="user namespaces allowed again", script=_opens("/proc/sys/user/max_user_namespaces", "9"),
        layers=("read-only", "landlock", "capabilities"),
    ),
    Attack(
        name="the kernel's memory, by /proc/kcore",
        script="if os.path.getsize('/proc/kcore') and open('/proc/kcore', 'rb').read(4): print('through')\n".join(
            ["import os\n", ""]
        ),
        layers=("masks",), beyond=OWNER,
    ),
    Attack(
        name="writing /usr", script=_opens("/usr/bin/planted", "x"), layers=("read-only", "landlock"), beyond=OWNER,
    ),
    Attack(
        name="writing into /etc", script=_opens("/etc/planted", "x"),
        layers=("read-only", "landlock", "capabilities"),
    ),
    Attack(
        name="a program in shared memory",
        script="import shutil, subprocess\nshutil.copy('/bin/true', '/dev/shm/x')\n"
        "if subprocess.run(['/dev/shm/x']).returncode == 0: print('through')\n",
        layers=("noexec", "landlock"),
    ),
    Attack(
        name="a program in no file (memfd), where nothing that is written may be executed",
        script="""import os
if os.fork() == 0:
    program = os.memfd_create('x')
    os.write(program, open('/bin/true', 'rb').read())
    os.execve(program, ['x'], {})
print('through' if os.wait()[1] == 0 else '')
""",
        layers=("seccomp",), flags=("--seccomp-profile", "builtin:strict"),
        alone="no mount has it, and Landlock does not govern it; vm.memfd_noexec is the host's to set",
    ),
    # ---- the network
    Attack(
        name="an abstract socket of the host",
        script=f"import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{SOCKET}')\nprint('through')\n",
        layers=("network", "landlock"),
    ),
    Attack(
        name="packets as the network card sees them",
        script="import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nprint('through')\n",
        layers=("seccomp", "capabilities"),
    ),
    Attack(
        name="the hypervisor's sockets (AF_VSOCK)", script="import socket\nsocket.socket(40, 1)\nprint('through')\n",
        layers=("seccomp",), alone="the kernel keeps them in no namespace and asks for no capability",
    ),
    # ---- proven by tests of their own
    Attack(
        name="typing into the caller's terminal (TIOCSTI)", layers=("seccomp",),
        alone="a terminal of its own (-t) is the second; without -t the caller's is shared on purpose",
        proof=("test_refused_calls.py::test_a_terminal_works_although_typing_into_it_is_refused",),
    ),
    Attack(
        name="a device file that lies in a volume", layers=("nodev mounts", "the devices of its cgroup (root)"),
        proof=("test_attacks.py::test_a_device_file_that_lies_in_a_volume_opens_nothing",
               "test_attacks.py::test_whoever_is_in_the_cgroup_opens_the_devices_of_the_list_alone"),
    ),
    Attack(
        name="a set-user-id file", layers=("nosuid mounts", "no_new_privs"),
        proof=("test_mounts.py::test_no_mount_lets_set_user_id_or_devices_through",
               "test_refused_calls.py::test_nobody_becomes_root_inside"),
    ),
    Attack(
        name="kill(0) to the caller's process group", layers=("a process group of its own", "Landlock's signal scope"),
        proof=("test_attacks.py::test_a_signal_to_the_process_group_stays_inside",
               "test_attacks.py::test_below_a_terminal_it_stays_inside_as_well"),
    ),
    Attack(
        name="a pidfd of a host process, handed in", layers=("a pid namespace of its own", "ids of its own (root)"),
        proof=("test_attacks.py::test_a_descriptor_of_a_host_process_sends_no_signal",),
    ),
    Attack(
        name="descriptors that the caller left open", layers=("close_range", "close-on-exec"),
        proof=("test_isolation.py::test_no_descriptor_of_the_caller_gets_inside",
               "test_attacks.py::test_nothing_is_there_to_forge_a_record_with"),
    ),
    Attack(
        name="overwriting the launcher by /proc/self/exe", layers=("a sealed file in memory", "read-only mounts"),
        proof=("test_attacks.py::test_programs_of_the_launch_cannot_be_overwritten",),
    ),
    Attack(
        name="a stream's file, opened again for writing", layers=("landlock", "the file's mode (root)"),
        proof=("test_attacks.py::test_a_stream_s_file_cannot_be_opened_again_for_writing",),
    ),
    Attack(
        name="hard links to the host's files", layers=("mounts of their own", "landlock"),
        proof=("test_attacks.py::test_the_host_s_files_cannot_be_linked_into_the_workspace",),
    ),
    Attack(
        name="a workspace exchanged for a link after it was judged", layers=("openat2 without links", "the inode"),
        proof=("test_attacks.py::test_a_workspace_that_is_swapped_after_the_look_is_refused",),
    ),
    Attack(
        name="a link planted in a workspace, on the way to a mount of a later run",
        layers=("openat2 without links",),
        alone="what is mounted there is the caller's own, and below the new root: it would cover another place inside",
        proof=("test_planted_links.py::test_a_link_that_was_planted_in_a_workspace_moves_no_mount",
               "test_planted_links.py::test_a_link_that_one_run_plants_is_refused_in_the_next",
               "test_planted_links.py::test_a_link_in_a_volume_moves_no_configuration"),
    ),
    Attack(
        name="links of a rootfs that lead to the host", layers=("openat2 below the new root", "the host is detached"),
        proof=("test_attacks.py::test_a_link_of_a_rootfs_makes_nothing_on_the_host",
               "test_attacks.py::test_a_rootfs_that_is_a_link_to_the_host_s_root_is_refused"),
    ),
    Attack(
        name="a directory descriptor of the host, handed in", layers=("landlock", "ids of its own (root)"),
        proof=("test_mounts.py::test_a_directory_that_somebody_sends_is_a_dead_end",),
    ),
    Attack(
        name="catching a newcomer's descriptors (exec)", layers=("not dumpable until locked down", "landlock"),
        proof=("test_exec.py::test_a_workload_that_watches_for_newcomers_catches_nothing_of_the_host",
               "test_exec.py::test_nobody_enters_before_the_hosts_tree_is_out_of_reach"),
    ),
    Attack(
        name="a hook that others can change: links, `..`, open directories, an exchange",
        layers=("owner and mode of all above it", "executed by the judged descriptor"),
        proof=("test_hooks.py::test_a_hook_that_others_can_change_is_not_run",
               "test_hooks.py::test_a_hook_that_is_exchanged_after_it_was_judged_is_not_run"),
    ),
    Attack(
        name="LD_PRELOAD and its like in the environment", layers=("refused by name", "no program gains rights"),
        proof=("test_secrets.py::test_what_the_loader_obeys_is_refused",),
    ),
    Attack(
        name="a fork bomb", layers=("pids.max", "RLIMIT_NPROC where there is no cgroup"),
        proof=("test_limits.py::test_processes_are_limited_when_nobody_asked",
               "test_limits.py::test_where_no_cgroup_can_be_had_the_result_says_what_holds_the_processes"),
    ),
    Attack(
        name="memory without end, in files", layers=("memory.max", "the size of each tmpfs"),
        proof=("test_limits.py::test_files_in_memory_count_too", "test_limits.py::test_a_full_tmpfs_is_full"),
    ),
    Attack(
        name="all pseudo-terminals of the machine", layers=("devpts max=256",),
        alone="the kernel has no other count for them",
        proof=("test_attacks.py::test_no_sandbox_takes_the_terminals_of_all",),
    ),
    Attack(
        name="System V objects of the host", layers=("an ipc namespace of its own", "ids of its own (root)"),
        proof=("test_isolation.py::test_no_system_v_object_of_the_host_is_visible",),
    ),
    Attack(
        name="records that tell of another process", layers=("the state root is never inside", "pid and start time"),
        proof=("test_attacks.py::test_a_workspace_never_holds_the_records",
               "test_attacks.py::test_a_process_that_took_a_dead_init_s_number_is_not_killed"),
    ),
)  # fmt: skip

RUN = tuple([a for a in ATTACKS if not a.proof])
