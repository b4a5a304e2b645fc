/* Steps that fix who the workload is, in the only order that works: bounding set, groups, gid, uid, capability sets. */
#include "launch.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/signal.h>

/* Gives up what is not kept of the bounding set.  What was given up before, by the process that made this one too, is not
 * there to be dropped again: each takes a call. */
int drop_bounding(struct env *env, u64 keep)
{
	for (u32 capability = 0; capability < 64; capability++) {
		int result;

		if (keep >> capability & 1 || !(env->bounding >> capability & 1))
			continue;
		result = (int)K(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
		if (result == -EINVAL && capability) /* past the last one of this kernel */
			break;
		if (result < 0)
			return result;
	}
	env->bounding &= keep;
	return 0;
}

int run_drop_bounding(const struct step *step, struct env *env)
{
	return drop_bounding(env, step->field[0].number);
}

int run_set_groups(const struct step *step, struct env *env)
{
	(void)env; /* the groups belong to the process */
	return (int)K(__NR_setgroups, step->field[0].number / 4, step->field[0].bytes);
}

int run_set_ids(const struct step *step, struct env *env)
{
	u32 uid = (u32)step->field[0].number, gid = (u32)step->field[1].number;
	/* Leaving uid 0 clears the permitted set; execve ends the exception. */
	int result = step->field[2].number ? (int)K(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0) : 0;

	(void)env; /* the ids belong to the process */
	if (!result)
		result = (int)K(__NR_setresgid, gid, gid, gid);
	if (!result)
		result = (int)K(__NR_setresuid, uid, uid, uid);
	/* A change of ids clears it (prctl(2)), so it is set here and not earlier. */
	return result ? result : (int)K(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int run_set_capabilities(const struct step *step, struct env *env)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct data[2];
	u64 permitted = step->field[0].number, effective = step->field[1].number, inheritable = step->field[2].number,
	    ambient = step->field[3].number;
	int result;

	(void)env; /* the sets belong to the process */
	result = (int)K(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (result < 0)
		return result;
	for (unsigned i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){ .effective = (u32)(effective >> 32 * i),
							   .permitted = (u32)(permitted >> 32 * i),
							   .inheritable = (u32)(inheritable >> 32 * i) };
	result = (int)K(__NR_capset, &header, data);
	for (u32 capability = 0; !result && capability < 64; capability++)
		if (ambient >> capability & 1)
			result = (int)K(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
	return result;
}

int drop_all_capabilities(struct env *env)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	const struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	int result = drop_bounding(env, 0);

	if (!result)
		result = (int)K(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return result ? result : (int)K(__NR_capset, &header, none);
}
