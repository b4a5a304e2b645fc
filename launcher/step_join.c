/* Entering a running container: namespaces by init's pidfd, then a process inside of them; its console.
 *
 * Only the child joins.  The monitor stays outside, where the program that explains a failure is the host's own. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>

int run_join_namespaces(const struct step *step, struct env *env)
{
	/* Until it executes, nobody inside may look into a process that comes from outside: not its memory, not its
	 * descriptors, not /proc/PID/exe, which is the host's file. */
	long result = K(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);

	/* All at once: the kernel enters the user namespace first, which gives the rights for the others. */
	return (int)(result < 0 ? result : K(__NR_setns, slot(env, &step->field[0]), step->field[1].number));
}

/* The slots that steps of the workload name, as bits. */
static u64 workload_slots(const struct plan *plan)
{
	u64 cursor = 0, slots = 0;
	struct step step;

	while (plan_next(plan, &cursor, &step))
		for (unsigned i = 0; step.rule->phase >> 4 == ACTOR_WORKLOAD && i < step.rule->fields; i++)
			if (step.rule->field[i].kind == 'f')
				slots |= 1ULL << step.field[i].number;
	return slots;
}

/* Directories of the host and the like are closed before there is a process inside that could be caught with them. */
static void close_host_files(struct env *env)
{
	u64 wanted = workload_slots(env->plan);

	for (u32 i = 0; i < env->slot_count; i++)
		if (env->slots[i] >= 0 && (i >= 64 || !(wanted >> i & 1))) {
			K(__NR_close, env->slots[i]);
			env->slots[i] = -1;
		}
	K(__NR_close, env->plan_fd); /* the plan itself stays mapped */
	env->plan_fd = -1;
}

/* A pid namespace holds those that are born after it was joined.  The process inside is the monitor's child, as this one
 * is: the monitor waits for it and ends with it, and nothing else stays outside. */
int run_spawn_inside(const struct step *step, struct env *env)
{
	struct clone_args args = { .flags = CLONE_PIDFD | CLONE_PARENT };
	int pidfd = -1, result;
	i32 pid;

	close_host_files(env);
	args.pidfd = (u64)(uintptr_t)&pidfd;
	pid = (i32)K(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		/* kill(0) reaches the whole process group, past every pid namespace. */
		if (step->field[0].number)
			pid = (i32)K(__NR_setpgid, 0, 0);
		if (!pid)
			workload(env);
		env->failure = (struct failure){ .magic = FAILURE_MAGIC, .actor = ACTOR_CHILD, .opcode = STEP_SPAWN_INSIDE,
						 .step = step->index, .error = -pid };
		die(env);
	}
	if (pid < 0)
		return pid;
	result = send_record(env->parent_socket, &pid, sizeof(pid), &pidfd, 1);
	if (!result)
		sys_exit(0);
	return result == -EPIPE ? -EOWNERDEAD : result;
}

int adopt_joined(struct env *env)
{
	int pidfd = -1;
	u32 count = 1;
	i32 pid = 0;
	long got = receive_record(env->child_socket, &pid, sizeof(pid), &pidfd, &count, 0);

	if (got != sizeof(pid) || !count) /* the child has failed, and its record says why */
		return got < 0 ? (int)got : -ESRCH;
	while (K(__NR_wait4, env->child_pid, NULL, 0, NULL) == -EINTR)
		;
	K(__NR_close, env->child_pidfd);
	env->child_pid = pid;
	env->child_pidfd = env->workload_pidfd = pidfd;
	return 0;
}
