/* The verb `try`: system calls that a sandbox refuses, each in a process of its own, so that a kill is a result too. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[256];

static int result_of(long result)
{
	return result < 0 ? errno : 0;
}

#define CALL(name, expression)                      \
	static int try_##name(void *unused)         \
	{                                           \
		(void)unused;                       \
		return result_of((long)(expression)); \
	}

static struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
} new_user = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0 };

/* Both processes of a clone that worked come back: the second one only leaves. */
static long leave_if_child(long pid)
{
	if (pid == 0)
		_exit(0);
	return pid;
}

CALL(mount, mount("none", "/tmp", "tmpfs", 0, NULL))
CALL(bind_mount, mount("/usr", "/tmp", NULL, MS_BIND, NULL))
CALL(remount, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL))
CALL(umount, umount2("/proc", MNT_DETACH))
CALL(open_tree, syscall(428, AT_FDCWD, "/usr", 1 /* OPEN_TREE_CLONE */))
CALL(move_mount, syscall(429, AT_FDCWD, "/usr", AT_FDCWD, "/tmp", 0))
CALL(fsopen, syscall(430, "tmpfs", 0))
CALL(mount_setattr, syscall(442, AT_FDCWD, "/", 0, buffer, 32))
CALL(pivot_root, syscall(SYS_pivot_root, ".", "."))
CALL(chroot, chroot("/tmp"))
CALL(ptrace_init, ptrace(PTRACE_SEIZE, 1, NULL, NULL))
CALL(ptrace_me, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
CALL(process_vm_readv, syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0))
CALL(bpf, syscall(SYS_bpf, 0, buffer, 64))
CALL(perf_event_open, syscall(SYS_perf_event_open, buffer, 0, -1, -1, 0))
CALL(keyctl, syscall(SYS_keyctl, 0, -3, 1))
CALL(add_key, syscall(SYS_add_key, "user", "probe", "x", 1, -3))
CALL(request_key, syscall(SYS_request_key, "user", "probe", NULL, -3))
CALL(unshare_user, syscall(SYS_unshare, CLONE_NEWUSER))
CALL(unshare_net, syscall(SYS_unshare, CLONE_NEWNET))
CALL(unshare_mount, syscall(SYS_unshare, CLONE_NEWNS))
CALL(clone_user, leave_if_child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)))
CALL(clone3_user, leave_if_child(syscall(435, &new_user, sizeof(new_user))))
CALL(setns, syscall(SYS_setns, open("/proc/self/ns/user", O_RDONLY), 0))
CALL(io_uring, syscall(425, 1, buffer))
CALL(userfaultfd, syscall(SYS_userfaultfd, 1))
CALL(memfd_secret, syscall(447, 0))
CALL(pidfd_getfd, syscall(438, syscall(434, 1, 0), 0, 0))
CALL(kcmp, syscall(SYS_kcmp, getpid(), 1, 0, 0, 0))
CALL(open_by_handle, syscall(SYS_open_by_handle_at, AT_FDCWD, buffer, 0))
CALL(fanotify, syscall(SYS_fanotify_init, 0, 0))
CALL(init_module, syscall(SYS_init_module, buffer, 8, ""))
CALL(kexec_load, syscall(SYS_kexec_load, 0, 0, NULL, 0))
CALL(reboot, syscall(SYS_reboot, 0, 0, 0, NULL))
CALL(swapon, syscall(SYS_swapon, "/tmp/none", 0))
CALL(acct, syscall(SYS_acct, "/tmp/none"))
CALL(sethostname, sethostname("probe", 5))
CALL(syslog, syscall(SYS_syslog, 3, buffer, sizeof(buffer)))
CALL(settimeofday, syscall(SYS_clock_settime, 0, buffer))
CALL(quotactl, syscall(SYS_quotactl, 0, NULL, 0, NULL))
CALL(mknod_device, mknod("/tmp/probe-device", S_IFCHR | 0666, 0x103))
CALL(mknod_whiteout, mknod("/tmp/probe-whiteout", S_IFCHR | 0666, 0)) /* anybody may, since Linux 5.8 */
CALL(setuid_root, setuid(0))
CALL(seteuid_root, setresuid((uid_t)-1, 0, (uid_t)-1))
CALL(setgroups, syscall(SYS_setgroups, 0, NULL))
CALL(raise_ambient, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0))
CALL(kill_init, kill(1, SIGKILL))
CALL(read_implies_exec, syscall(SYS_personality, 0x0400000))
#if defined(__x86_64__)
CALL(modify_ldt, syscall(SYS_modify_ldt, 0, buffer, 16))
CALL(iopl, syscall(SYS_iopl, 3))
#endif

/* On a terminal of the sandbox's own; the kernel looks at the low 32 bits of the command alone. */
static int terminal_ioctl(unsigned long command, void *argument)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), number = -1, unlock = 0, terminal;

	if (master < 0)
		return errno;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return errno;
	snprintf(buffer, sizeof(buffer), "/dev/pts/%d", number);
	if (setsid() < 0 || (terminal = open(buffer, O_RDWR)) < 0)
		return errno;
	return result_of(syscall(SYS_ioctl, terminal, command, argument));
}

static int try_tiocsti(void *unused)
{
	(void)unused;
	return terminal_ioctl(TIOCSTI, "x");
}

static int try_tiocsti_high(void *unused)
{
	(void)unused;
	return terminal_ioctl(0xABCD00000000UL | TIOCSTI, "x");
}

static int try_tioclinux(void *unused)
{
	char paste = 3;

	(void)unused;
	return terminal_ioctl(TIOCLINUX, &paste);
}

/* A harmless command: that terminals as such work is what makes the refusals above mean something. */
static int try_terminal(void *unused)
{
	(void)unused;
	return terminal_ioctl(TIOCGWINSZ, buffer);
}

static const struct {
	const char *name;
	int (*function)(void *);
} attempts[] = {
#define A(name) { #name, try_##name }
	A(mount), A(bind_mount), A(remount), A(umount), A(open_tree), A(move_mount), A(fsopen), A(mount_setattr),
	A(pivot_root), A(chroot), A(ptrace_init), A(ptrace_me), A(process_vm_readv), A(bpf), A(perf_event_open),
	A(keyctl), A(add_key), A(request_key), A(unshare_user), A(unshare_net), A(unshare_mount), A(clone_user),
	A(clone3_user), A(setns), A(io_uring), A(userfaultfd), A(memfd_secret), A(pidfd_getfd), A(kcmp),
	A(open_by_handle), A(fanotify), A(init_module), A(kexec_load), A(reboot), A(swapon), A(acct), A(sethostname),
	A(syslog), A(settimeofday), A(quotactl), A(mknod_device), A(mknod_whiteout), A(setuid_root), A(seteuid_root), A(setgroups),
	A(raise_ambient), A(kill_init), A(read_implies_exec), A(tiocsti), A(tiocsti_high), A(tioclinux), A(terminal),
#if defined(__x86_64__)
	A(modify_ldt), A(iopl),
#endif
#undef A
};

/* "NAME RESULT" for each name that is given; without names, for all. */
static void run_try(int count, char **words)
{
	char text[32];

	for (unsigned i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
		int wanted = count == 0;

		for (int w = 0; w < count; w++)
			wanted |= !strcmp(words[w], attempts[i].name);
		if (!wanted)
			continue;
		in_child(attempts[i].function, NULL, text, sizeof(text));
		say("%s %s", attempts[i].name, text);
	}
}

const struct verb call_verbs[] = {
	{ "try", -1, run_try },
	{ NULL, 0, NULL },
};
