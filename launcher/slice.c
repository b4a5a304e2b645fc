/* How long a process of the launcher may run before another one gets its turn.  ✗ a larger share, another priority.
 *
 * A start is many small pieces of work of processes that wait for one another.  On a busy machine each piece would wait
 * behind somebody's whole slice.  Who asks for short ones is let in earlier, and sent away earlier too (Linux 6.12;
 * before, the scheduler has one length for all).  What the launcher executes for others has the caller's slice again. */
#include "launch.h"

#include <linux/sched.h>
#include <linux/sched/types.h>

#define SHORTEST_NS 100000U /* what the kernel grants */

/* Returns the slice it had, or 0 where there is none of its own to be asked for. */
static u64 exchange_slice(u64 wanted)
{
	struct sched_attr attr = { .size = 0 };
	u64 had;

	if (K(__NR_sched_getattr, 0, &attr, sizeof(attr), 0) < 0 || attr.sched_policy != SCHED_NORMAL)
		return 0;
	had = attr.sched_runtime;
	attr.sched_runtime = wanted;
	if (had > wanted || (had && wanted > SHORTEST_NS))
		(void)K(__NR_sched_setattr, 0, &attr, 0); /* without it a start takes longer, that is all */
	return had;
}

void shorten_slice(struct env *env)
{
	env->slice_ns = exchange_slice(SHORTEST_NS);
}

void restore_slice(struct env *env)
{
	if (env->slice_ns > SHORTEST_NS)
		(void)exchange_slice(env->slice_ns);
	env->slice_ns = 0;
}
