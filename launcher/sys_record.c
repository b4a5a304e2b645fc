/* The recording seam: a kernel that does nothing, answers as the real one would on a good day, and writes down each call.
 *
 *   nucleus-record PLAN SLOTS monitor|child|workload|network|spare [FAIL-AT ERRNO [EVERY]]
 *
 * runs the launcher's own program up to its end or its execve, as the process of that role: clone returns 0 where that
 * process is born.  The FAIL-AT-th call fails with ERRNO instead of being answered (EVERY: and each one after it with the
 * same number).  Lines of the record: "step INDEX", "call K NAME RESULT TEXT", "born ROLE", "failure ACTOR OPCODE STEP
 * ERRNO", "inherited FD NAME" (made without close-on-exec), "leak FD NAME" (belongs to nobody when a step is over),
 * "badclose FD", "follows PATH" (in the sandbox, links and all), "exec PATH", "exit STATUS".  Hosted; linked instead of sys_linux.c and seam_none.c, never installed. */
#include "launch.h"
#include "trace.h"
#include "sys_record.h"

#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <stdio.h>
#include <string.h>

#define CLOEXEC 02000000
#define LAST_CAPABILITY 40
#define CHILD_PID 200
#define FIRST_SLOT 5

_Noreturn void _Exit(int status); /* stdlib.h and the kernel's own headers clash */

struct world world;
static u8 anonymous[4096]; /* what shared memory without a file is */

/* ---- descriptors ----------------------------------------------------------------------------------------------------- */

static int new_fd(int least, const char *name, bool inherited)
{
	int fd = least;

	while (fd < MAX_FDS - 1 && world.open[fd])
		fd++;
	world.open[fd] = true;
	world.reported[fd] = false;
	world.drained[fd] = false;
	snprintf(world.name[fd], sizeof(world.name[fd]), "%s", name);
	if (inherited)
		printf("inherited %d %s\n", fd, name);
	return fd;
}

static const char *fd_name(long fd)
{
	return fd < 0 || fd >= MAX_FDS ? "?" : world.name[fd];
}

static long close_fd(long fd)
{
	if (fd < 0 || fd >= MAX_FDS || !world.open[fd]) {
		printf("badclose %ld\n", fd);
		return -EBADF;
	}
	world.open[fd] = false;
	return 0;
}

static bool among(int fd, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] == fd)
			return true;
	return false;
}

static bool owned(const struct env *env, int fd)
{
	const int single[] = { env->control, env->plan_fd, env->child_pidfd, env->workload_pidfd, env->status_read,
			       env->child_socket, env->signals, env->status_write, env->parent_socket, env->root,
			       env->null, env->ruleset, env->peer, env->proc, env->host, env->host_root, env->gate,
			       env->network, env->interfaces };

	for (unsigned i = 0; i < MAX_CGROUPS; i++)
		if (env->cgroups[i].directory == fd || env->cgroups[i].tasks == fd)
			return true;
	return among(fd, single, sizeof(single) / sizeof(*single)) || among(fd, env->slots, env->slot_count) ||
	       among(fd, env->userns, MAX_USERNS) || among(fd, env->mounts, MAX_MOUNTS);
}

/* Whatever a handler has opened is closed again, or the launch knows where it is. */
static void report_leaks(void)
{
	for (int fd = FIRST_SLOT; world.env && fd < MAX_FDS; fd++)
		if (world.open[fd] && !world.reported[fd] && !owned(world.env, fd)) {
			printf("leak %d %s\n", fd, world.name[fd]);
			world.reported[fd] = true;
		}
}

/* ---- what the kernel would answer -------------------------------------------------------------------------------------- */

static long answer_read(int fd, char *to)
{
	static const char stat[] = "1 (a b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23";
	const char *name = fd_name(fd), *text = "x";

	if (!strcmp(name, "pipe"))
		return 0; /* the other side has executed */
	if (world.opcode == STEP_WRITE_SECRET) { /* what holds a secret is empty once it was read */
		if (world.drained[fd])
			return 0;
		world.drained[fd] = true;
	}
	if (strstr(name, "/stat"))
		text = stat;
	else if (strstr(name, "."))
		text = "oom_kill 7\n";
	memcpy(to, text, strlen(text));
	return (long)strlen(text);
}

/* One byte is a look whether the other end is there. */
static long answer_letter(char *to, long most)
{
	if (most == 1)
		return -EAGAIN;
	*to = TRACE_TAKEN;
	return 1;
}

static long answer_receive(const struct recorded_message *message)
{
	static const char letters[MAX_OPCODE] = {
		[STEP_BECOME_MAPPED] = 'M', [STEP_AWAIT_HOST_MOUNTS] = 'H', [STEP_AWAIT_RELEASE] = 'G',
		[STEP_AWAIT_DETACHED] = 'D', [STEP_JOIN_NETWORK] = 'N', [STEP_ENTER_NETWORK] = 'N',
		[STEP_AWAIT_ID_MAP] = 'M', [STEP_AWAIT_ROOT] = 'L', [STEP_EXEC] = 'i',
		[STEP_ANNOUNCE_BUILT] = 'W', [STEP_RUN_HOOK_INSIDE] = 'i', [STEP_AWAIT_HOOKS] = 'C',
	};
	struct { u64 length; i32 level, type; i32 fds[MOST_RIGHTS]; } rights = { 16, 1, 1, { 0 } };
	u64 count = message->control_length ? (message->control_length - 16) / 4 : 0;

	if (world.opcode == STEP_AWAIT_PROCEED) { /* the monitor hears that all is built */
		*(char *)message->parts->base = 'B';
		return 1;
	}
	if (message->parts->length > sizeof(i32)) { /* the monitor reads the workload's end */
		memset(message->parts->base, 0, message->parts->length);
		return (long)message->parts->length;
	}
	if (message->parts->length == sizeof(i32)) /* the monitor adopts the process inside */
		*(i32 *)message->parts->base = CHILD_PID + 2;
	else
		*(char *)message->parts->base = letters[world.opcode];
	for (u64 i = 0; i < count; i++, rights.length += 4)
		rights.fds[i] = new_fd(FIRST_SLOT, "received", false);
	if (count)
		memcpy(message->control, &rights, rights.length);
	return (long)message->parts->length;
}

static long answer_poll(struct pollfd *fds, long count)
{
	/* The last, for as long as anybody asks for it: the status pipe, the child's word that all is built; else the first:
	 * the gate's word, the child's end. */
	long which = count > 2 && fds[count - 1].fd >= 0 ? count - 1 : 0;

	if (count == 1 && fds->events == POLLOUT) { /* an event's file */
		fds->revents = POLLOUT;
		return 1;
	}
	for (long i = 0; i < count; i++)
		fds[i].revents = i == which ? POLLIN : 0;
	return 1;
}

static long answer_statx(int fd, struct statx *to)
{
	memset(to, 0, sizeof(*to));
	to->stx_size = world.plan_size;
	if (fd != PLAN_FD && (world.opcode == STEP_OPEN_TREE || world.opcode == STEP_OPEN_TREE_INSIDE)) {
		to->stx_ino = world.step.field[4].number;
		to->stx_dev_major = (u32)(world.step.field[3].number >> 32);
		to->stx_dev_minor = (u32)world.step.field[3].number;
	}
	return 0;
}

static long answer_clone(struct clone_args *args)
{
	bool child = world.opcode == STEP_SPAWN || world.opcode == STEP_SPAWN_IN_ROOT;
	const char *role = child ? "child" : world.opcode == STEP_SPAWN_NETWORK ? "network" :
			   world.opcode == STEP_SPARE_NETWORK ? "spare" : "workload";
	bool born = child ? strcmp(world.role, "monitor") && strcmp(world.role, "spare") : !strcmp(world.role, role);

	if (args->flags & CLONE_PIDFD)
		*(int *)(uintptr_t)args->pidfd = new_fd(FIRST_SLOT, "pidfd", false);
	if (world.opcode == STEP_MAKE_USERNS || world.opcode == STEP_MAKE_NAMESPACE || !born)
		return world.opcode == STEP_SPAWN_WORKLOAD ? 2 : CHILD_PID;
	if (args->flags & CLONE_PIDFD) /* the parent's */
		close_fd(*(int *)(uintptr_t)args->pidfd);
	printf("born %s\n", role);
	return 0;
}

static long answer_prctl(long option, long value)
{
	if (option == PR_GET_NO_NEW_PRIVS)
		return 1;
	if (option == PR_GET_SECCOMP)
		return (long)world.step.field[1].number;
	return option == PR_CAPBSET_DROP && value > LAST_CAPABILITY ? -EINVAL : 0;
}

static long answer_pair(int *pair, const char *name, bool inherited)
{
	pair[0] = new_fd(FIRST_SLOT, name, inherited);
	pair[1] = new_fd(FIRST_SLOT, name, inherited);
	return 0;
}

static long answer_fcntl(int fd, long command, long value)
{
	if (command == 1030 /* F_DUPFD_CLOEXEC */)
		return new_fd((int)value, fd_name(fd), false);
	return command == 1034 /* F_GET_SEALS */ ? 0xf : 0;
}

static long answer_close_range(u32 first, u32 last, long flags)
{
	for (u32 fd = first; !flags && fd <= last && fd < MAX_FDS; fd++)
		world.open[fd] = false;
	return 0;
}

/* Calls that make one descriptor: its name, and whether close-on-exec was asked for. */
static long answer_open(long number, const long *a)
{
	const struct open_how *how = (const void *)a[2];

	switch (number) {
	case __NR_openat:
		return new_fd(FIRST_SLOT, (const char *)a[1], !(a[2] & CLOEXEC) && strcmp((const char *)a[1], "/dev/null"));
	case __NR_openat2:
		if (a[0] != AT_FDCWD && !(how->resolve & RESOLVE_NO_SYMLINKS))
			printf("follows %s\n", (const char *)a[1]);
		return new_fd(FIRST_SLOT, (const char *)a[1], !(how->flags & CLOEXEC));
	case __NR_open_tree:
		return new_fd(FIRST_SLOT, "mount", !(a[2] & CLOEXEC));
	case __NR_fsopen:
	case __NR_fsmount:
		return new_fd(FIRST_SLOT, number == __NR_fsopen ? "context" : "mount", !(a[1] & 1));
	case __NR_fspick:
		return new_fd(FIRST_SLOT, "context", !(a[2] & 1));
	case __NR_memfd_create:
		return new_fd(FIRST_SLOT, (const char *)a[0], !(a[1] & 1));
	case __NR_socket:
		return new_fd(FIRST_SLOT, "socket", !(a[1] & CLOEXEC));
	case __NR_signalfd4:
		return new_fd(FIRST_SLOT, "signals", !(a[3] & CLOEXEC));
	default:
		return new_fd(FIRST_SLOT, "ruleset", false);
	}
}

/* What writes, and what tells of a failure. */
static long answer_write(const void *bytes, long size)
{
	record_failure(bytes, (u64)size);
	return size;
}

static long answer_ids(long number, const long *a)
{
	struct __kernel_timespec *now = (void *)a[1];

	switch (number) {
	case __NR_getpid:
		return 100;
	case __NR_setfsuid: /* the one that was set before */
		return (long)world.step.field[0].number;
	case __NR_setfsgid:
		return (long)world.step.field[1].number;
	case __NR_wait4:
		if (a[1])
			*(int *)a[1] = 0;
		return a[0];
	case __NR_sched_getattr: /* the slice that a process has, of struct sched_attr */
		((u64 *)a[1])[3] = 1400000;
		return 0;
	case __NR_clock_gettime:
		*now = (struct __kernel_timespec){ .tv_sec = 1 };
		return 0;
	case __NR_capget:
		memset((void *)a[1], 0, 2 * sizeof(struct __user_cap_data_struct));
		return 0;
	default:
		return 0;
	}
}

long record_answer(long number, const long *a)
{
	switch (number) {
	case __NR_openat: case __NR_openat2: case __NR_open_tree: case __NR_fsopen: case __NR_fsmount: case __NR_fspick:
	case __NR_memfd_create: case __NR_socket: case __NR_signalfd4: case __NR_landlock_create_ruleset:
		return answer_open(number, a);
	case __NR_close:
		return close_fd(a[0]);
	case __NR_close_range:
		return answer_close_range((u32)a[0], (u32)a[1], a[2]);
	case __NR_pipe2:
		return answer_pair((int *)a[0], "pipe", !(a[1] & CLOEXEC));
	case __NR_socketpair:
		return answer_pair((int *)a[3], "pair", !(a[1] & CLOEXEC));
	case __NR_dup3:
		world.open[a[1]] = true;
		return a[1];
	case __NR_ioctl:
		return a[1] == SIOCGSKNS ? new_fd(FIRST_SLOT, "netns", false) :
		       a[1] == 0x5441 /* TIOCGPTPEER */ ? new_fd(FIRST_SLOT, "terminal", false) : 0;
	case __NR_fcntl:
		return answer_fcntl((int)a[0], a[1], a[2]);
	case __NR_clone3:
		return answer_clone((struct clone_args *)a[0]);
	case __NR_clone:
		if (a[0] & CLONE_PIDFD)
			*(int *)a[2] = new_fd(FIRST_SLOT, "pidfd", false);
		return CHILD_PID + 1;
	case __NR_read:
		return answer_read((int)a[0], (char *)a[1]);
	case __NR_pread64:
		memcpy((void *)a[1], "A=b", 4);
		return a[3] ? 0 : 4;
	case __NR_write:
		return answer_write((const void *)a[1], a[2]);
	case __NR_pwrite64:
		return a[2];
	case __NR_sendmsg:
		record_message((const struct recorded_message *)a[1]);
		return 1;
	case __NR_recvmsg:
		return answer_receive((const struct recorded_message *)a[1]);
	case __NR_recvfrom:
		return answer_letter((char *)a[1], a[2]);
	case __NR_ppoll:
		return answer_poll((struct pollfd *)a[0], a[1]);
	case __NR_statx:
		return answer_statx((int)a[0], (struct statx *)a[4]);
	case __NR_mmap:
		return a[4] < 0 ? (long)(uintptr_t)anonymous : (long)world.plan;
	case __NR_bpf:
		return a[0] == 5 /* BPF_PROG_LOAD */ ? new_fd(FIRST_SLOT, "program", false) : 0;
	case __NR_seccomp: /* the listener's, which the twin closes in the table that both have */
		return a[1] & 8 /* SECCOMP_FILTER_FLAG_NEW_LISTENER */ ? MAX_FDS : 0;
	case __NR_prctl:
		return answer_prctl(a[0], a[1]);
	default:
		return answer_ids(number, a);
	}
}

/* ---- the seam ---------------------------------------------------------------------------------------------------------- */

long kernel(long number, long a, long b, long c, long d, long e, long f)
{
	const long arguments[] = { a, b, c, d, e, f };
	unsigned long call = ++world.calls;
	long result;

	if (call == world.fail_at || (world.every && call > world.fail_at && number == world.failed_number)) {
		world.failed_number = number;
		result = -world.fail_with;
		record_call(call, number, arguments, result);
		return result;
	}
	record_call(call, number, arguments, 0);
	if (number == __NR_execve || number == __NR_execveat) {
		printf("exec %s\n", number == __NR_execve ? (const char *)a : fd_name(a));
		fflush(stdout);
		_Exit(0);
	}
	return record_answer(number, arguments);
}

_Noreturn void sys_exit(int status)
{
	report_leaks();
	printf("exit %d\n", status);
	fflush(stdout);
	_Exit(0);
}

int seam_before_step(const struct env *env, u32 index)
{
	u64 cursor = 0;

	world.env = env;
	report_leaks();
	while (plan_next(env->plan, &cursor, &world.step) && world.step.index != index)
		;
	world.opcode = world.step.opcode;
	printf("step %u\n", index);
	return 0;
}
