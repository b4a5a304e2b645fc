/* nucleus-launch [detach] PLAN-FD CONTROL-FD ID [SLOT-FD…]: verify the sealed plan, run it.  ✗ mounts, capabilities, policy.
 *
 * CONTROL-FD is "-" when nobody listens; with `detach` it goes on in a session of its own.  `nucleus-launch probe` prints
 * what the kernel offers instead. */
#include "launch.h"

#include <linux/auxvec.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <linux/stat.h>

int probe(void);
int program(int argc, char **argv, char **environment, const u64 *auxiliary);

static void complain(const char *text)
{
	(void)write_all(2, text, text_length(text)); /* nothing is left to tell it to */
}

/* A plan that is not the launcher's: no step ran, nothing has to be undone. */
static int refuse(const char *why, const char *remedy)
{
	complain("nucleus: launcher: ");
	complain(why);
	complain("\n  remedy: ");
	complain(remedy);
	complain("\n");
	return 125;
}

static bool secure_execution(const u64 *auxiliary)
{
	for (; auxiliary[0] != AT_NULL; auxiliary += 2)
		if (auxiliary[0] == AT_SECURE)
			return auxiliary[1];
	return false;
}

/* Streams 0 to 2 must exist, or the next descriptor opened would become one. */
static void open_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (K(__NR_fcntl, fd, F_GETFD) == -EBADF)
			K(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR);
}

/* A container that outlives its caller: a process of its own, in a session of its own, that keeps no directory busy. */
static long leave_caller(void)
{
	long pid = K(__NR_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid > 0)
		sys_exit(0);
	if (!pid)
		pid = K(__NR_setsid);
	return pid < 0 ? pid : K(__NR_chdir, "/");
}

static bool parse_fd(const char *text, int *fd)
{
	u64 number;

	if (!parse_number(text, &number) || number < 3 || number > 1U << 20)
		return false;
	*fd = (int)number;
	return true;
}

/* The lowest descriptor from `first` on that belongs to this launch, or ~0. */
static u32 next_own(const struct env *env, u32 first)
{
	const int own[] = { env->plan_fd, env->control };
	u32 lowest = ~0U;

	for (u32 i = 0; i < env->slot_count + 2; i++) {
		int fd = i < 2 ? own[i] : env->slots[i - 2];

		if (fd >= (int)first && (u32)fd < lowest)
			lowest = (u32)fd;
	}
	return lowest;
}

/* What a host program left inheritable is let go of at once: a pipe of its own must not stay open as long as a container
 * lives.  The launch's own go no further than the next exec. */
static long close_foreign(const struct env *env)
{
	u32 first = 3, own;
	long result = K(__NR_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);

	while (result >= 0 && (own = next_own(env, first)) != ~0U) {
		if (own > first)
			result = K(__NR_close_range, first, own - 1, 0);
		first = own + 1;
	}
	return result < 0 ? result : K(__NR_close_range, first, ~0U, 0);
}

static const char *read_arguments(struct env *env, int argc, char **argv)
{
	if (argc < 4 || !parse_fd(argv[1], &env->plan_fd))
		return "started by hand? It is nucleus that starts it";
	if (!text_equal(argv[2], "-") && !parse_fd(argv[2], &env->control))
		return "the control socket is no descriptor";
	env->id = argv[3];
	if (!*env->id || text_length(env->id) > 64)
		return "the id is empty or too long";
	for (const char *c = env->id; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
			return "the id may have lower-case letters and digits only";
	if ((u32)(argc - 4) > MAX_SLOTS)
		return "too many slots";
	for (int i = 4; i < argc; i++)
		if (!parse_fd(argv[i], &env->slots[env->slot_count++]))
			return "a slot is no descriptor";
	return NULL;
}

static const char *read_plan(struct env *env, struct plan *plan)
{
	struct statx stat;
	long bytes;

	/* Sealed against writing, shrinking, growing and unsealing: what is checked is what runs. */
	if ((K(__NR_fcntl, env->plan_fd, 1034 /* F_GET_SEALS */) & 0xf) != 0xf)
		return "the plan is not sealed";
	if (K(__NR_statx, env->plan_fd, "", AT_EMPTY_PATH, STATX_SIZE, &stat) < 0)
		return "the plan cannot be read";
	if (!stat.stx_size || stat.stx_size > MAX_PLAN_BYTES)
		return "the plan is empty or larger than 4 MiB";
	bytes = K(__NR_mmap, NULL, stat.stx_size, 1 /* PROT_READ */, 1 /* MAP_SHARED */, env->plan_fd, 0);
	if (bytes < 0 && bytes > -4096)
		return "the plan cannot be mapped";
	if (plan_check(plan, (const void *)bytes, stat.stx_size, env->slot_count))
		return "the plan is not one of this version";
	env->plan = plan;
	return NULL;
}

/* A shell goes on with its loop where the key ended the command alone: it looks whether who it waited for ended by it, too. */
static void end_by_interrupt(void)
{
	const u64 none = 0;

	K(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, 8);
	K(__NR_kill, K(__NR_getpid), SIGINT);
}

int program(int argc, char **argv, char **environment, const u64 *auxiliary)
{
	/* In one page, which each of three processes makes its own: the kernel copies it when it is written to. */
	_Alignas(4096) static struct env env = { .control = -1, .child_pidfd = -1, .child_pid = -1, .workload_pidfd = -1,
				  .status_read = -1, .status_write = -1, .child_socket = -1, .parent_socket = -1,
				  .signals = -1, .host = -1, .host_root = -1, .proc = -1, .root = -1, .ruleset = -1, .peer = -1, .null = -1,
				  .gate = -1, .network = -1, .network_pid = -1, .interfaces = -1, .spare_pid = -1, .records = -1, .devices = -1, .bounding = ~0ULL };
	static struct plan plan;
	const char *why;
	u64 cursor = 0;
	struct step step;
	const struct exit_record *exit;

	(void)environment; /* the workload's environment comes in a slot, the launcher's own is ignored */
	if (secure_execution(auxiliary))
		return refuse("it is setuid or has file capabilities", "reinstall nucleus");
	open_streams();
	if (argc == 2 && text_equal(argv[1], "probe"))
		return probe();
	if (argc > 1 && text_equal(argv[1], "detach")) {
		if (leave_caller() < 0)
			return refuse("no process, or no session, to detach into", "raise the limit of processes: ulimit -u");
		argc--, argv++;
	}
	for (u32 i = 0; i < MAX_MOUNTS; i++)
		env.mounts[i] = -1;
	for (u32 i = 0; i < MAX_USERNS; i++)
		env.userns[i] = -1;
	why = read_arguments(&env, argc, argv);
	if (!why)
		why = read_plan(&env, &plan);
	if (why)
		return refuse(why, "reinstall nucleus; only nucleus itself starts the launcher");
	if (close_foreign(&env) < 0)
		return refuse("close_range is missing", "Linux 5.11 or newer is needed");
	exit = monitor(&env);
	/* Where nobody listens, what the exit code does not tell is said on the terminal. */
	if (exit->flags & (EXIT_FAILED | EXIT_OOM | EXIT_TIMEOUT) && exit->exit_code && env.control < 0)
		while (plan_next(&plan, &cursor, &step))
			if (step.opcode == STEP_REPORT_FAILURE)
				report_end(&env, &step, exit);
	if (env.interrupted && exit->signal == SIGINT)
		end_by_interrupt();
	return exit->exit_code;
}
