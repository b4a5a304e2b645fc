/* OCI hooks inside: a program of the host in the container's namespaces before the root is switched, a program of the
 * container under the workload's lockdown before it executes.  One at a time; what one leaves running is ended with it. */
#include "launch.h"

#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/time.h>

#define MOST_WORDS 512U
#define SIGNAL_SET_BYTES 8
#define HOOK_FD 3

struct hook {
	int program;      /* -1: by its path */
	const char *path;
	const struct value *arguments, *environment;
	int state, output;
	u64 timeout_ms;
};

static int split(const struct value *list, const char **into)
{
	u32 n = 0;

	for (u64 at = 0; at < list->number; at += text_length(list->bytes + at) + 1) {
		if (n >= MOST_WORDS - 1)
			return -E2BIG;
		into[n++] = list->bytes + at;
	}
	into[n] = NULL;
	return 0;
}

/* The setup's rights go along also where the id is not root's inside: else execve takes them (capabilities(7)). */
static void keep_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	if (K(__NR_capget, &header, data) < 0)
		return; /* it runs with less */
	data[0].inheritable = data[0].permitted;
	data[1].inheritable = data[1].permitted;
	if (K(__NR_capset, &header, data) < 0)
		return;
	for (int number = 0; number < 64; number++)
		if (data[number / 32].permitted >> number % 32 & 1)
			K(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0);
}

/* Never returns.  What goes wrong here is told by the exit status, as of a shell. */
_Noreturn static void become(const struct hook *hook, const char *const *arguments, const char *const *variables)
{
	const u64 none = 0;
	long result = K(__NR_lseek, hook->state, 0, 0);

	for (int fd = 0; fd < 3 && result >= 0; fd++)
		result = K(__NR_dup3, fd ? hook->output : hook->state, fd, 0);
	K(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, SIGNAL_SET_BYTES);
	if (result >= 0)
		result = K(__NR_chdir, "/");
	if (result < 0)
		sys_exit(126);
	if (hook->program >= 0) {
		/* A script is opened once more, by its number: it stays open for that. */
		result = hook->program == HOOK_FD ? K(__NR_fcntl, HOOK_FD, F_SETFD, 0) : K(__NR_dup3, hook->program, HOOK_FD, 0);
		keep_capabilities();
		K(__NR_close_range, HOOK_FD + 1, ~0U, 0);
		if (result >= 0)
			result = K(__NR_execveat, HOOK_FD, "", arguments, variables, AT_EMPTY_PATH);
	} else {
		K(__NR_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
		result = K(__NR_execve, hook->path, arguments, variables);
	}
	sys_exit(result == -ENOENT ? 127 : 126);
}

/* 1 when it has ended, 0 when the time is over. */
static long await(int pidfd, u64 timeout_ms)
{
	u64 now = clock_ns(1 /* CLOCK_MONOTONIC */), end = now + timeout_ms * 1000000U;

	for (;; now = clock_ns(1)) {
		u64 left = end > now ? end - now : 0;
		struct __kernel_timespec time = { (long long)(left / 1000000000U), (long long)(left % 1000000000U) };
		struct pollfd fd = { pidfd, POLLIN, 0 };
		long result = K(__NR_ppoll, &fd, 1, &time, NULL, SIGNAL_SET_BYTES);

		if (result != -EINTR)
			return result;
	}
}

static int run_hook(const struct hook *hook, struct env *env)
{
	static const char *arguments[MOST_WORDS], *variables[MOST_WORDS];
	int result = split(hook->arguments, arguments), pidfd = -1, status = 0;
	long pid, over, ended;

	if (!result)
		result = split(hook->environment, variables);
	if (!result) /* it would be ended with what the hook leaves */
		result = collect_network(env);
	if (result)
		return result;
	pid = K(__NR_clone, SIGCHLD | CLONE_PIDFD, 0, &pidfd);
	if (!pid) {
		restore_slice(env);
		become(hook, arguments, variables);
	}
	if (pid < 0)
		return (int)pid;
	over = await(pidfd, hook->timeout_ms);
	K(__NR_close, pidfd);
	/* In a pid namespace of its own that is everybody but the caller and init: the hook, or what it has left. */
	if (over != 1)
		(void)K(__NR_kill, -1, SIGKILL);
	do
		ended = K(__NR_wait4, pid, &status, 0, NULL);
	while (ended == -EINTR);
	(void)K(__NR_kill, -1, SIGKILL);
	env->failure.detail = (u64)status;
	if (over < 0 || ended < 0)
		return (int)(over < 0 ? over : ended);
	return !over ? -ETIMEDOUT : status ? -ECHILD : 0;
}

/* Before the root is switched, in all of the container's namespaces, with the rights that build it. */
int run_run_hook(const struct step *step, struct env *env)
{
	const struct hook hook = { .program = slot(env, &step->field[0]), .arguments = &step->field[1],
				   .environment = &step->field[2], .state = slot(env, &step->field[3]),
				   .output = slot(env, &step->field[4]), .timeout_ms = step->field[5].number };
	int result = run_hook(&hook, env);

	while (K(__NR_wait4, -1, NULL, 0, NULL) > 0)
		; /* this is process 1: what the hook has left is its own */
	return result;
}

/* After the word to start, under the lockdown, when init has taken over. */
int run_run_hook_inside(const struct step *step, struct env *env)
{
	const struct hook hook = { .program = -1, .path = step->field[0].bytes, .arguments = &step->field[1],
				   .environment = &step->field[2], .state = slot(env, &step->field[3]),
				   .output = slot(env, &step->field[4]), .timeout_ms = step->field[5].number };
	int result = await_init(env);

	return result ? result : run_hook(&hook, env);
}

/* The namespaces are there, the root is not: the owner's hooks of the host have their turn. */
int run_let_hooks_run(const struct step *step, struct env *env)
{
	const struct message hooks = { .type = MESSAGE_HOOKS, .pid = env->child_pid };
	struct pollfd fds[2] = { { slot(env, &step->field[0]), POLLIN, 0 }, { env->child_pidfd, POLLIN, 0 } };
	bool at_end;
	long result;
	char word;

	tell_owner(env, &hooks, -1);
	do
		result = K(__NR_ppoll, fds, 2, NULL, NULL, SIGNAL_SET_BYTES);
	while (result == -EINTR);
	if (result < 0)
		return (int)result;
	if (fds[1].revents) {
		(void)read_status(env, &at_end);
		return -ESRCH;
	}
	result = K(__NR_read, fds[0].fd, &word, 1);
	if (result != 1)
		return result < 0 ? (int)result : -EOWNERDEAD;
	(void)tell_letter(env, 'C'); /* a child that has failed is noticed at the gate */
	return 0;
}

int run_await_hooks(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return await_letter(env, 'C');
}
