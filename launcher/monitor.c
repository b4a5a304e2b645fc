/* The outside process: starts the child, waits, forwards signals, keeps time, and cleans up.  It decides nothing. */
#include "launch.h"

#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/signalfd.h>
#include <linux/time.h>
#include <linux/wait.h>

#define SIGNAL_SET_BYTES 8
#define NONE (~0ULL)
#define BIT(signal) (1ULL << ((signal) - 1))
/* linux/fcntl.h and asm/signal.h clash in old uapi headers over nothing we use; the numbers below are ABI. */
#define SI_FROM_USER(code) ((code) <= 0) /* SI_USER, SI_QUEUE, SI_TKILL: a process sent it */

#define FORWARDED (BIT(SIGTERM) | BIT(SIGINT) | BIT(SIGHUP) | BIT(SIGQUIT) | BIT(SIGUSR1) | BIT(SIGUSR2) | \
		   BIT(SIGWINCH) | BIT(SIGTSTP) | BIT(SIGCONT))

struct kernel_sigaction {
	u64 handler, flags, restorer, mask;
};

struct wait_state {
	struct workload_end end;
	bool ended, timed_out, owner_open;
	u64 deadline_ns; /* CLOCK_MONOTONIC, or NONE */
	u64 stop_signal, grace_ns;
};

enum watched { CHILD, SIGNALS, CONTROL, STATUS, WATCHED };

void tell_owner(struct env *env, const struct message *message, int pidfd)
{
	if (env->control >= 0) /* an owner that is gone is noticed by the end of file, not here */
		(void)send_record(env->control, message, sizeof(*message), &pidfd, pidfd >= 0);
}

/* The failure record of child or workload, if one is waiting; at the end of file both have executed. */
bool read_status(struct env *env, bool *at_end)
{
	struct failure record;
	long got = K(__NR_read, env->status_read, &record, sizeof(record));

	*at_end = got == 0;
	if (got != sizeof(record) || record.magic != FAILURE_MAGIC)
		return false;
	if (!env->failure.magic)
		env->failure = record;
	env->exit_flags |= EXIT_FAILED;
	return true;
}

static int kill_by(int pidfd, u64 signal)
{
	return pidfd < 0 ? -ESRCH : (int)K(__NR_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static void read_child_socket(struct env *env, struct wait_state *state);

/* The workload's pidfd lies in the socket until somebody needs it: a start is no place to be woken up for it. */
static int kill_workload(struct env *env, struct wait_state *state, u64 signal)
{
	if (env->workload_pidfd < 0)
		read_child_socket(env, state);
	return kill_by(env->workload_pidfd, signal);
}

/* The child's socket brings the workload's pidfd, where somebody waits at a gate the word that all is built, and later the
 * workload's end. */
static void read_child_socket(struct env *env, struct wait_state *state)
{
	int fd = -1;
	u32 count = 1;
	long got = receive_record(env->child_socket, &state->end, sizeof(state->end), &fd, &count, 0x40 /* MSG_DONTWAIT */);

	if (got == sizeof(state->end))
		state->ended = true;
	else if (got == 1 && count && env->workload_pidfd < 0)
		env->workload_pidfd = fd;
	else if (got == 1)
		env->built = true;
}

/* What a process sent is handed on.  Of what the terminal sends, a workload of its group has got all but a hangup already. */
static void forward_signal(struct env *env, struct wait_state *state)
{
	struct signalfd_siginfo info;

	if (K(__NR_read, env->signals, &info, sizeof(info)) != sizeof(info))
		return;
	env->interrupted = env->interrupted || (info.ssi_signo == SIGINT && !SI_FROM_USER(info.ssi_code));
	if ((SI_FROM_USER(info.ssi_code) || info.ssi_signo == SIGHUP || env->apart) &&
	    kill_workload(env, state, info.ssi_signo) == -ESRCH && env->workload_pidfd < 0 && info.ssi_signo != SIGCONT &&
	    info.ssi_signo != SIGTSTP && info.ssi_signo != SIGWINCH)
		(void)kill_by(env->child_pidfd, SIGKILL); /* asked to stop before there was a workload */
	if (info.ssi_signo == SIGTSTP)
		K(__NR_kill, K(__NR_getpid), SIGSTOP);
}

/* What joined takes its process group along: no init of its own ends what it has started. */
static void kill_tree(struct env *env)
{
	int pid = env->child_pid;

	/* Not reaped yet, so the number is nobody else's. */
	if (env->plan->kind == KIND_JOIN && pid > 0 && K(__NR_getpgid, pid) == pid)
		(void)K(__NR_kill, -pid, SIGKILL);
	(void)kill_by(env->child_pidfd, SIGKILL);
}

enum { OWNER_KILLS = 1, OWNER_MAY_GO = 2 };

static void read_owner(struct env *env, struct wait_state *state, u64 on_loss)
{
	u8 message[2];
	long got = K(__NR_recvfrom, env->control, message, sizeof(message), 0x40 /* MSG_DONTWAIT */, NULL, NULL);

	if (got == 2 && message[0] == 's') {
		(void)kill_workload(env, state, message[1]);
		return;
	}
	if (got == -EAGAIN || got == -EINTR || got > 0)
		return;
	state->owner_open = false;
	if (on_loss == OWNER_KILLS) {
		env->exit_flags |= EXIT_OWNER_LOST;
		kill_tree(env);
	}
}

static void deadline_passed(struct env *env, struct wait_state *state)
{
	if (!state->timed_out && state->grace_ns && !kill_workload(env, state, state->stop_signal)) {
		state->deadline_ns = clock_ns(1) + state->grace_ns;
	} else {
		kill_tree(env);
		state->deadline_ns = NONE;
	}
	state->timed_out = true;
	env->exit_flags |= EXIT_TIMEOUT;
}

static long poll_until(struct pollfd *fds, u64 deadline_ns)
{
	struct __kernel_timespec left = { 0, 0 };
	u64 now = clock_ns(1 /* CLOCK_MONOTONIC */);

	if (deadline_ns != NONE && deadline_ns > now)
		left = (struct __kernel_timespec){ .tv_sec = (long long)((deadline_ns - now) / 1000000000U),
						   .tv_nsec = (long long)((deadline_ns - now) % 1000000000U) };
	return K(__NR_ppoll, fds, WATCHED, deadline_ns == NONE ? NULL : &left, NULL, SIGNAL_SET_BYTES);
}

/* Reaps the child; what it still had to say is read first. */
static void collect(struct env *env, struct wait_state *state)
{
	int status = 0;
	struct rusage usage = { 0 };
	bool at_end = false;

	while (K(__NR_wait4, env->child_pid, &status, 0, &usage) == -EINTR)
		;
	env->child_pid = -1;
	read_child_socket(env, state);
	if (!state->ended)
		read_child_socket(env, state);
	while (!at_end && read_status(env, &at_end))
		;
	/* In a join there is no init that tells: the child itself was the workload. */
	if (env->plan->kind == KIND_JOIN && !(env->exit_flags & EXIT_FAILED)) {
		state->end = end_of(status, &usage);
		state->ended = true;
	}
}

/* A start that cannot be recorded would be waited for without end. */
static void refuse_start(struct env *env, int error)
{
	const struct step *step = env->start_record;

	env->failure = (struct failure){ .magic = FAILURE_MAGIC, .actor = ACTOR_MONITOR, .opcode = (u16)step->opcode,
					 .step = step->index, .error = -error };
	env->exit_flags |= EXIT_FAILED;
	(void)kill_by(env->child_pidfd, SIGKILL);
}

/* At the end of the status pipe child and workload have executed; true then. */
static bool tell_ready(struct env *env)
{
	const struct message ready = { .type = MESSAGE_READY };
	bool at_end = false;
	int result = 0;

	(void)read_status(env, &at_end);
	if (!at_end || env->exit_flags & EXIT_FAILED)
		return at_end;
	if (env->start_record)
		result = record_start(env);
	if (result)
		refuse_start(env, result);
	else
		tell_owner(env, &ready, -1);
	return true;
}

static void watch(struct env *env, const struct step *supervise, struct wait_state *state)
{
	u64 timeout_ms = supervise->field[0].number;
	/* Who starts in two phases, or goes once it runs, is told when both have executed; for others nobody is woken up. */
	bool leaves = supervise->field[3].number == OWNER_MAY_GO;
	bool status_open = (env->two_phase || env->start_record || leaves) && !env->called_off;

	state->stop_signal = supervise->field[1].number;
	state->grace_ns = supervise->field[2].number * 1000000U;
	state->deadline_ns = timeout_ms ? clock_ns(1) + timeout_ms * 1000000U : NONE;
	state->owner_open = env->control >= 0 && supervise->field[3].number;
	for (;;) {
		struct pollfd fds[WATCHED] = {
			[CHILD] = { env->child_pidfd, POLLIN, 0 },
			[SIGNALS] = { env->signals, POLLIN, 0 },
			[CONTROL] = { state->owner_open ? env->control : -1, POLLIN, 0 },
			[STATUS] = { status_open ? env->status_read : -1, POLLIN, 0 },
		};
		u64 look_ns = next_look_ns(env);
		long result = poll_until(fds, look_ns < state->deadline_ns ? look_ns : state->deadline_ns);

		if (result == 0 && look_ns >= state->deadline_ns)
			deadline_passed(env, state);
		if (result <= 0)
			continue; /* -EINTR: a stop and its continuation */
		if (fds[CHILD].revents) {
			collect(env, state);
			/* A short command is over before anybody looked: init tells the end of what was executed alone. */
			if (status_open && state->ended && state->end.status != SIGKILL)
				(void)tell_ready(env);
			return;
		}
		if (fds[STATUS].revents)
			status_open = !tell_ready(env);
		if (fds[SIGNALS].revents)
			forward_signal(env, state);
		if (fds[CONTROL].revents)
			read_owner(env, state, supervise->field[3].number);
	}
}

int kill_child(struct env *env)
{
	struct wait_state state = { .deadline_ns = NONE };

	if (env->child_pid <= 0)
		return 0;
	(void)kill_by(env->child_pidfd, SIGKILL);
	collect(env, &state);
	return 0;
}

int run_supervise(const struct step *step, struct env *env)
{
	static struct step kept;

	kept = *step;
	env->supervise = &kept;
	return 0;
}

static long poll_gate(int gate, const struct env *env, bool *word, bool *built, bool *over)
{
	struct pollfd fds[3] = { { gate, POLLIN, 0 }, { env->child_pidfd, POLLIN, 0 },
				 { env->built ? -1 : env->child_socket, POLLIN, 0 } };
	long result = K(__NR_ppoll, fds, 3, NULL, NULL, SIGNAL_SET_BYTES);

	*word = fds[0].revents, *over = fds[1].revents, *built = fds[2].revents;
	return result;
}

/* Until all is built and the owner has said the word, which may come first. */
static int await_word(int gate, struct env *env)
{
	const struct message created = { .type = MESSAGE_CREATED, .pid = env->child_pid };
	struct wait_state state = { .deadline_ns = NONE };
	bool said = false, told = false, word, built, over;

	while (!said || !told) {
		long result;
		char letter;

		if (env->built && !told) {
			result = record_built(env);
			if (result)
				return (int)result;
			tell_owner(env, &created, env->child_pidfd);
			told = true;
			continue;
		}
		result = poll_gate(said ? -1 : gate, env, &word, &built, &over);
		if (result == -EINTR)
			continue;
		if (result < 0)
			return (int)result;
		if (over) {
			(void)read_status(env, &word); /* what it failed at, not that nobody is left to wait for */
			return -ESRCH;
		}
		if (built)
			read_child_socket(env, &state);
		if (!word)
			continue;
		result = K(__NR_read, gate, &letter, 1);
		if (result != 1)
			return result < 0 ? (int)result : -EOWNERDEAD;
		said = true;
		if (letter == 'k') { /* not to be started at all: it ends as one that was killed */
			(void)kill_by(env->child_pidfd, SIGKILL);
			env->called_off = true;
			return 0;
		}
	}
	return 0;
}

/* Two-phase start, a network backend, hooks: the owner says when.  A child that fails meanwhile is not waited for.  The
 * gate is closed behind the word: whoever writes another one learns that nobody reads it. */
int run_await_proceed(const struct step *step, struct env *env)
{
	int result;

	(void)step; /* the gate was looked up before the child was born */
	env->built = !env->plan->seen[STEP_ANNOUNCE_BUILT];
	result = await_word(env->gate, env);
	K(__NR_close, env->gate);
	env->gate = -1;
	return result;
}

/* The one descriptor of the monitor alone: what the child kept open would take words that nobody reads. */
static void look_for_gate(struct env *env)
{
	struct step step;
	u64 cursor = 0;

	while (plan_next_of(env->plan, PHASE_RELEASE, &cursor, &step))
		if (step.opcode == STEP_AWAIT_PROCEED) {
			env->gate = slot(env, &step.field[0]);
			env->slots[step.field[0].number] = -1;
		}
}

/* Everything up to the moment in which the child can go on by itself. */
static int start(struct env *env)
{
	static const enum phase phases[] = { PHASE_PREPARE, PHASE_SPAWN, PHASE_ID_MAP };
	int result = 0;

	env->two_phase = env->plan->seen[STEP_AWAIT_PROCEED];
	look_for_gate(env);
	for (unsigned i = 0; !result && i < sizeof(phases) / sizeof(*phases); i++)
		result = run_phase(env, phases[i]);
	if (!result && env->plan->kind == KIND_JOIN)
		result = adopt_joined(env);
	if (result)
		return result;
	/* That may fail: the child has failed already, and its record says why. */
	(void)tell_letter(env, 'M');
	result = run_phase(env, PHASE_HOST_MOUNTS);
	if (!result)
		result = run_phase(env, PHASE_RELEASE);
	if (!result)
		(void)tell_letter(env, 'G');
	return result;
}

static int block_signals(struct env *env)
{
	/* Python ignores the first two, a host program may ignore the third (children would end unseen); execve keeps it. */
	static const u8 defaulted[] = { SIGPIPE, SIGXFSZ, SIGCHLD };
	const struct kernel_sigaction by_default = { 0, 0, 0, 0 };
	struct kernel_sigaction hangup = { 0, 0, 0, 0 };
	u64 mask = FORWARDED, blocked;

	for (unsigned i = 0; i < sizeof(defaulted); i++)
		K(__NR_rt_sigaction, defaulted[i], &by_default, NULL, SIGNAL_SET_BYTES);
	K(__NR_rt_sigaction, SIGHUP, NULL, &hangup, SIGNAL_SET_BYTES);
	if (hangup.handler == 1 /* SIG_IGN: nohup */)
		mask &= ~BIT(SIGHUP);
	/* A reader of events that is gone ends no monitor; the child begins with an empty mask. */
	blocked = mask | BIT(SIGPIPE);
	K(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &blocked, NULL, SIGNAL_SET_BYTES);
	env->signals = (int)K(__NR_signalfd4, -1, &mask, SIGNAL_SET_BYTES, 02000000 /* SFD_CLOEXEC */);
	return env->signals < 0 ? env->signals : 0;
}

static void conclude(struct env *env, const struct wait_state *state, struct exit_record *exit)
{
	int status = state->end.status;

	exit->user_us = state->end.user_us;
	exit->system_us = state->end.system_us;
	exit->max_rss_kb = state->end.max_rss_kb;
	if (env->exit_flags & EXIT_FAILED || env->failure.magic) {
		env->exit_flags |= EXIT_FAILED;
		exit->exit_code = failure_code(&env->failure);
		exit->failure = env->failure;
	} else if (!state->ended) {
		env->exit_flags |= EXIT_INIT_KILLED;
		exit->signal = SIGKILL;
		exit->exit_code = 128 + SIGKILL;
	} else if (status & 0x7f) {
		exit->signal = status & 0x7f;
		exit->exit_code = 128 + exit->signal;
	} else {
		exit->exit_code = status >> 8 & 0xff;
	}
	if (env->exit_flags & EXIT_TIMEOUT)
		exit->exit_code = 124;
}

/* What only a start needs: removing takes descriptors, and their being too few may be what failed. */
static void let_go(struct env *env)
{
	int *const fds[] = { &env->status_read, &env->status_write, &env->child_socket, &env->parent_socket };

	for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			K(__NR_close, *fds[i]);
		*fds[i] = -1;
	}
	close_mounts(env);
}

/* A root for containers that start later: this process alone makes it, hands it out, and is gone. */
static void prepare(struct env *env, struct exit_record *exit, int result)
{
	static const enum phase phases[] = { PHASE_HOST_MOUNTS, PHASE_ROOT, PHASE_MOUNTS, PHASE_RELEASE };

	for (unsigned i = 0; !result && i < sizeof(phases) / sizeof(*phases); i++) {
		env->actor = (enum actor)(phases[i] >> 4);
		result = run_phase(env, phases[i]);
	}
	if (!result)
		return;
	exit->flags |= EXIT_FAILED;
	exit->exit_code = failure_code(&env->failure);
	exit->failure = env->failure;
}

/* A container, from its cgroup to its last process. */
static void contain(struct env *env, struct exit_record *exit, int result)
{
	struct wait_state state = { .deadline_ns = NONE };

	if (!result)
		result = start(env);
	if (env->two_phase) /* it may have waited at the gate for days */
		exit->started_ns = clock_ns(0);
	if (!result)
		result = run_phase(env, PHASE_WAIT);
	if (result) {
		env->exit_flags |= EXIT_FAILED;
		(void)kill_child(env);
		let_go(env);
	} else {
		/* Whoever reads the workload's streams waits for the workload's end of file, not for the monitor's. */
		K(__NR_close_range, 0, env->control >= 0 ? 2 : 1, 0);
		if (env->plan->kind == KIND_JOIN || env->plan->seen[STEP_OPEN_CONSOLE])
			set_apart(env);
		watch(env, env->supervise, &state);
	}
	exit->finished_ns = clock_ns(0);
	end_spare_network(env);
	conclude(env, &state, exit);
	/* Counters first, then what removes the cgroup, then the record: the plan has them in that order. */
	exit->flags = env->exit_flags;
	(void)run_phase_to_end(env, PHASE_FINISH);
	take_counters(env, exit);
}

const struct exit_record *monitor(struct env *env)
{
	struct exit_record *exit = the_exit();
	struct message message = { .type = MESSAGE_EXITED };
	int result = block_signals(env);

	exit->started_ns = clock_ns(0 /* CLOCK_REALTIME */);
	shorten_slice(env);
	if (env->plan->kind == KIND_PREPARE)
		prepare(env, exit, result);
	else
		contain(env, exit, result);
	message.exit = *exit;
	if (env->plan->kind != KIND_PREPARE || exit->flags) /* the root itself was the answer */
		tell_owner(env, &message, -1);
	return exit;
}
