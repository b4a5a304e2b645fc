/* Who is born when: child (later init) and workload, and the id-map handshake between monitor and child. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/socket.h>

#include "init.h"

#define SOCK_SEQPACKET_CLOEXEC (5 | 02000000)
#define SIGNAL_SET_BYTES 8
#define MSG_PEEK_DONTWAIT (0x2 | 0x40)
#define MFD_EXEC_ 0x10U /* Linux 6.3 */
#define SEAL_ALL 0xfU   /* F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE */

extern const u8 init_image[], init_image_end[];

_Noreturn void die(struct env *env)
{
	/* The monitor being gone is no failure to report: there is nobody to read it. */
	if (env->failure.error != EOWNERDEAD)
		(void)write_all(env->status_write, &env->failure, sizeof(env->failure));
	sys_exit(125);
}

static void close_all(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			K(__NR_close, fds[i]);
}

_Noreturn void workload(struct env *env)
{
	static const enum phase phases[] = { PHASE_ARRIVAL, PHASE_LIMITS, PHASE_IDENTITY, PHASE_LANDLOCK, PHASE_SECCOMP,
					     PHASE_EXEC };
	const u64 none = 0;

	env->actor = ACTOR_WORKLOAD;
	env->network_pid = -1; /* the child's */
	K(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, SIGNAL_SET_BYTES);
	for (unsigned i = 0; i < sizeof(phases) / sizeof(*phases); i++)
		if (run_phase(env, phases[i]))
			break;
	die(env);
}

_Noreturn static void child(struct env *env)
{
	static const enum phase phases[] = { PHASE_SETUP, PHASE_ROOT, PHASE_MOUNTS, PHASE_HANDOVER };
	const int not_mine[] = { env->child_socket, env->status_read, env->control, env->signals,
				 env->host, env->host_root, env->gate };
	int result = 0;

	/* Only so does the end of the monitor show as end of file, to the child and to the owner. */
	close_all(not_mine, sizeof(not_mine) / sizeof(*not_mine));
	env->actor = ACTOR_CHILD;
	for (unsigned i = 0; !result && i < sizeof(phases) / sizeof(*phases); i++)
		result = run_phase(env, phases[i]);
	die(env);
}

int run_spawn(const struct step *step, struct env *env)
{
	struct clone_args args = { .flags = step->field[0].number | CLONE_PIDFD, .exit_signal = SIGCHLD };
	int status[2], sockets[2], pidfd = -1;
	long pid = K(__NR_pipe2, status, O_CLOEXEC);

	if (pid < 0)
		return (int)pid;
	env->status_read = status[0], env->status_write = status[1];
	pid = K(__NR_socketpair, 1 /* AF_UNIX */, SOCK_SEQPACKET_CLOEXEC, 0, sockets);
	if (pid < 0)
		return (int)pid;
	env->child_socket = sockets[0], env->parent_socket = sockets[1];
	args.pidfd = (u64)(uintptr_t)&pidfd;
	if (step->field[1].number < MAX_CGROUPS) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (u64)(unsigned)env->cgroups[step->field[1].number].directory;
	}
	pid = K(__NR_clone3, &args, sizeof(args));
	if (!pid)
		child(env);
	K(__NR_close, env->status_write);
	K(__NR_close, env->parent_socket);
	env->status_write = env->parent_socket = -1;
	if (pid < 0)
		return (int)pid;
	env->child_pid = (int)pid;
	env->child_pidfd = pidfd;
	return 0;
}

/* ---- id maps ---------------------------------------------------------------------------------------------------- */

static int write_map(int process, const char *file, const struct value *text)
{
	return write_file_at(process, file, text->bytes, text->number);
}

/* A descriptor of /proc/<pid>, by the pid in the monitor's own pid namespace. */
static int open_process(long pid)
{
	char path[32];

	put_number(put_text(path, path + 31, "/proc/"), path + 31, (u64)pid);
	return (int)K(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int write_maps(long pid, const struct value *uid_map, const struct value *gid_map, bool deny_setgroups)
{
	int process = open_process(pid), result = 0;

	if (process < 0)
		return process;
	if (deny_setgroups) /* an unprivileged gid_map needs it (user_namespaces(7)) */
		result = write_file_at(process, "setgroups", "deny", 4);
	if (!result)
		result = write_map(process, "gid_map", gid_map);
	if (!result)
		result = write_map(process, "uid_map", uid_map);
	K(__NR_close, process);
	return result;
}

int run_write_id_map(const struct step *step, struct env *env)
{
	return write_maps(env->child_pid, &step->field[0], &step->field[1], step->field[2].number);
}

/* newuidmap and newgidmap (setuid programs): argv is the list's first entry, the child's pid, the rest. */
int run_run_helper(const struct step *step, struct env *env)
{
	static const char *argv[64];
	const char *list = step->field[1].bytes, *no_environment[] = { NULL };
	char pid[16];
	unsigned n = 0;
	int status = 0;
	long helper, ended;
	u64 at;

	put_number(pid, pid + 15, (u64)env->child_pid);
	for (at = 0; at < step->field[1].number && n < 62; at += text_length(list + at) + 1) {
		argv[n++] = list + at;
		if (n == 1)
			argv[n++] = pid;
	}
	if (at < step->field[1].number) /* a map that is cut would be another map */
		return -E2BIG;
	argv[n] = NULL;
	helper = K(__NR_clone, SIGCHLD, 0, 0, 0, 0);
	if (!helper) {
		long failed;

		restore_slice(env);
		failed = K(__NR_execveat, slot(env, &step->field[0]), "", argv, no_environment, AT_EMPTY_PATH);

		sys_exit(failed == -ENOENT ? 127 : 126);
	}
	if (helper < 0)
		return (int)helper;
	do
		ended = K(__NR_wait4, helper, &status, 0, NULL);
	while (ended == -EINTR);
	env->failure.detail = (u64)status;
	return ended < 0 ? (int)ended : status ? -ECHILD : 0;
}

/* A user namespace that lives only as a descriptor: its maps say whose files an ID-mapped mount shows as whose. */
int run_make_userns(const struct step *step, struct env *env)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	int gate[2], process, result, userns;
	long pid = K(__NR_pipe2, gate, O_CLOEXEC);

	if (pid < 0)
		return (int)pid;
	pid = K(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		char byte;

		K(__NR_close, gate[1]);
		K(__NR_read, gate[0], &byte, 1); /* until the monitor lets go */
		sys_exit(0);
	}
	K(__NR_close, gate[0]);
	if (pid < 0) {
		K(__NR_close, gate[1]);
		return (int)pid;
	}
	result = write_maps(pid, &step->field[1], &step->field[2], false);
	process = result ? result : open_process(pid);
	userns = process < 0 ? process : (int)K(__NR_openat, process, "ns/user", O_RDONLY | O_CLOEXEC);
	if (process >= 0)
		K(__NR_close, process);
	K(__NR_close, gate[1]);
	while (K(__NR_wait4, pid, NULL, 0, NULL) == -EINTR)
		;
	if (userns < 0)
		return userns;
	env->userns[step->field[0].number] = userns;
	return 0;
}

/* The monitor's end shows as the end of its socket. */
static int check_monitor(struct env *env)
{
	char byte;

	return K(__NR_recvfrom, env->parent_socket, &byte, 1, MSG_PEEK_DONTWAIT, NULL, NULL) == 0 ? -EOWNERDEAD : 0;
}

/* What neither the workload nor init will have again is given up once for both, while the monitor writes the maps. */
static int limit_capabilities(struct env *env)
{
	struct step step;
	u64 cursor = 0;

	while (plan_next_of(env->plan, PHASE_IDENTITY, &cursor, &step))
		if (step.opcode == STEP_DROP_BOUNDING)
			return drop_bounding(env, step.field[0].number);
	return 0;
}

int run_become_mapped(const struct step *step, struct env *env)
{
	int result = env->plan->seen[STEP_RUN_HOOK] ? 0 : limit_capabilities(env); /* hooks have all rights that build */

	if (!result)
		result = await_letter(env, 'M');
	/* Until here the child is host uid 0 in the kernel's eyes when root started it: no path was followed yet. */
	if (!result && step->field[3].number)
		result = (int)K(__NR_setgroups, 0, NULL);
	if (!result && step->field[0].number) {
		u32 uid = (u32)step->field[1].number, gid = (u32)step->field[2].number;

		result = (int)K(__NR_setresgid, gid, gid, gid);
		if (!result)
			result = (int)K(__NR_setresuid, uid, uid, uid);
	}
	if (!result && env->network >= 0)
		result = send_letter(env->network, 'M', NULL, 0);
	if (!result)
		result = (int)K(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* The monitor may have died before that line. */
	return result ? result : check_monitor(env);
}

int run_await_host_mounts(const struct step *step, struct env *env)
{
	u64 count = step->field[0].number;
	int result = 0;

	for (u64 at = 0; !result && at < count; at += MOST_RIGHTS)
		result = receive_letter(env->parent_socket, 'H', env->mounts + at,
					(u32)(count - at < MOST_RIGHTS ? count - at : MOST_RIGHTS));
	return result;
}

/* Whatever a start could fail at but its program has been done, by both, when the monitor hears of it. */
int run_announce_locked(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return tell_peer(env, 'W', NULL, 0);
}

int run_announce_built(const struct step *step, struct env *env)
{
	int result = await_peer(env, 'W', NULL, 0);

	(void)step; /* the step has no fields */
	if (!result)
		result = collect_network(env);
	return result ? result : send_letter(env->parent_socket, 'B', NULL, 0);
}

int run_await_release(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return await_letter(env, 'G');
}

/* ---- the workload, and what becomes of the child ------------------------------------------------------------------ */

/* The workload's process is made early: it lets go of the host's root, which takes long, while the child fills the new
 * one.  Not before the switch, when the monitor has gone to sleep: a processor that
 * falls idle later does not come for it.  Until it executes, the two tell each other by letters how far they are. */
int run_spawn_workload(const struct step *step, struct env *env)
{
	static const i32 workloads_pid = WORKLOAD_PID;
	struct clone_args args = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD };
	int pair[2], pidfd = -1, result;
	long pid = K(__NR_socketpair, 1 /* AF_UNIX */, SOCK_SEQPACKET_CLOEXEC, 0, pair);

	if (pid < 0)
		return (int)pid;
	env->peer = pair[0];
	args.pidfd = (u64)(uintptr_t)&pidfd;
	/* Hooks have had numbers of this namespace, and a second attempt would get another one. */
	if (env->plan->seen[STEP_RUN_HOOK] || env->network_pid >= 0) {
		args.set_tid = (u64)(uintptr_t)&workloads_pid;
		args.set_tid_size = 1;
	}
	/* From here on nobody inside may look into init, whose /proc/1/exe is still the host's file. */
	pid = K(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!pid && env->plan->seen[STEP_RUN_HOOK])
		pid = limit_capabilities(env);
	if (!pid)
		pid = K(__NR_clone3, &args, sizeof(args));
	/* Where the limit of processes leaves no room for it beside the one that makes the network, it comes after that. */
	if (pid == -EAGAIN && env->network_pid >= 0 && !(pid = collect_network(env)))
		pid = K(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		/* kill(0) reaches the whole process group, past every pid namespace.  Only a terminal needs the caller's group:
		 * a group in its background could not read it, and an interrupt key would not arrive.  A console of its own
		 * makes a session of its own, which the leader of a group could not begin. */
		if (!env->terminal && !env->plan->seen[STEP_OPEN_CONSOLE])
			pid = K(__NR_setpgid, 0, 0);
		K(__NR_close, pair[0]);
		K(__NR_close, env->parent_socket);
		env->peer = pair[1];
		if (pid < 0) {
			env->failure = (struct failure){ .magic = FAILURE_MAGIC, .actor = ACTOR_CHILD, .opcode = STEP_SPAWN_WORKLOAD,
							 .step = step->index, .error = (i32)-pid };
			die(env);
		}
		workload(env);
	}
	K(__NR_close, pair[1]);
	if (pid < 0)
		return (int)pid;
	/* The monitor signals the workload by it: init needs no right to signal anybody. */
	result = send_letter(env->parent_socket, 'P', &pidfd, 1);
	K(__NR_close, pidfd);
	return result;
}

/* Detaching waits for the kernel to forget the old tree (an RCU grace period): so it runs beside the child's mounts. */
int run_detach_host(const struct step *step, struct env *env)
{
	/* pivot_root(".", ".") has stacked the host's root on the new one, where umount2 finds the topmost mount. */
	int result = (int)K(__NR_umount2, "/", 2 /* MNT_DETACH */);

	(void)step; /* the step has no fields */
	return result ? result : tell_peer(env, 'D', NULL, 0);
}

int run_await_detached(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	env->foreign = true;
	return await_peer(env, 'D', NULL, 0);
}

/* All that lies above the workload's paths is mounted: it may look them up for its Landlock rules, and lock itself down
 * beside what is left to do here. */
int run_announce_mounts(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return tell_peer(env, 'L', NULL, 0);
}

int run_await_root(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	/* In a join the root is that of the container.  Its monitor may have ended before set-ids asked to end with it. */
	return env->plan->kind == KIND_JOIN ? check_monitor(env) : await_peer(env, 'L', NULL, 0);
}

int run_become_init(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return become_init(env);
}

/* The image is sealed and in memory: no file of the host can be reached, or overwritten, by /proc/1/exe. */
static int seal_image(void)
{
	u64 size = (u64)(init_image_end - init_image);
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = (int)K(__NR_memfd_create, "nucleus-init", flags | MFD_EXEC_), result;

	if (fd == -EINVAL)
		fd = (int)K(__NR_memfd_create, "nucleus-init", flags);
	if (fd < 0)
		return fd;
	result = write_all(fd, init_image, size);
	if (!result)
		result = (int)K(__NR_fcntl, fd, 1033 /* F_ADD_SEALS */, SEAL_ALL);
	return result < 0 ? result : fd;
}

int duplicate_over_range(int fd, int wanted)
{
	return (int)K(__NR_fcntl, fd, 1030 /* F_DUPFD_CLOEXEC */, wanted);
}

/* Returns only a failure. */
int become_init(struct env *env)
{
	static const char *const argv[] = { "nucleus-init", NULL }, *const none[] = { NULL };
	int result = drop_all_capabilities(env), image, fds[2];

	if (result < 0)
		return result;
	image = seal_image();
	if (image < 0 && image != -EACCES)
		return image;
	fds[0] = duplicate_over_range(env->parent_socket, 16);
	fds[1] = duplicate_over_range(env->peer, 16);
	if (fds[0] < 0 || fds[1] < 0)
		return fds[0] < 0 ? fds[0] : fds[1];
	if (image >= 0 && (image = duplicate_over_range(image, 16)) < 0)
		return image;
	for (int i = 0; i < 2; i++)
		if ((result = (int)K(__NR_dup3, fds[i], INIT_SOCKET + i, 0)) < 0)
			return result;
	/* Streams belong to the workload: their readers shall see its end of file, not init's. */
	K(__NR_close_range, 0, 2, 0);
	if (image < 0) { /* vm.memfd_noexec=2: stay in this image, which is non-dumpable too; nothing closes by itself */
		K(__NR_close_range, INIT_GATE + 1, ~0U, 0);
		init_main(INIT_SOCKET, INIT_GATE);
	}
	return (int)K(__NR_execveat, image, "", argv, none, AT_EMPTY_PATH);
}
