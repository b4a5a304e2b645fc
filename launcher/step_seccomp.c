/* The seccomp filter, and the read-back that proves the lockdown.  Nothing comes after them but exec. */
#include "launch.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

int run_set_seccomp(const struct step *step, struct env *env)
{
	/* The bytes are struct sock_filter, 8-byte aligned in the plan. */
	const struct sock_fprog program = { .len = (unsigned short)(step->field[0].number / 8),
					    .filter = (struct sock_filter *)(uintptr_t)step->field[0].bytes };

	restore_slice(env); /* the filter may not allow it */
	if (!step->field[0].number || step->field[0].number / 8 > BPF_MAXINSNS)
		return -EINVAL;
	return (int)K(__NR_seccomp, SECCOMP_SET_MODE_FILTER, step->field[1].number, &program);
}

int run_assert_locked(const struct step *step, struct env *env)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct data[2];
	u64 permitted;
	long result = K(__NR_capget, &header, data);

	if (result < 0)
		return (int)result;
	permitted = data[0].permitted | (u64)data[1].permitted << 32;
	env->failure.detail = permitted;
	if (permitted & ~step->field[0].number)
		return -ENOTRECOVERABLE;
	if (K(__NR_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -ENOTRECOVERABLE;
	if (K(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) != (long)step->field[1].number)
		return -ENOTRECOVERABLE;
	return 0;
}
