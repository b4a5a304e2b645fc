/* Steps on the process itself that are not about identity: no_new_privs, host name, rlimits, umask, keyring. */
#include "launch.h"

#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/resource.h>

int run_no_new_privileges(const struct step *step, struct env *env)
{
	(void)step, (void)env; /* the step has no fields */
	return (int)K(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int run_set_hostname(const struct step *step, struct env *env)
{
	(void)env; /* the host name belongs to the namespace */
	return (int)K(__NR_sethostname, step->field[0].bytes, step->field[0].number);
}

int run_set_rlimit(const struct step *step, struct env *env)
{
	const struct rlimit64 limit = { .rlim_cur = step->field[1].number, .rlim_max = step->field[2].number };

	(void)env; /* the limit belongs to the process */
	return (int)K(__NR_prlimit64, 0, step->field[0].number, &limit, NULL);
}

int run_set_umask(const struct step *step, struct env *env)
{
	(void)env; /* the mask belongs to the process */
	K(__NR_umask, step->field[0].number);
	return 0;
}

/* A session keyring without a name: nobody else can join it, and the caller's keys are out of reach. */
int run_new_keyring(const struct step *step, struct env *env)
{
	long result = K(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

	(void)step, (void)env; /* the step has no fields, the keyring belongs to the process */
	/* A kernel without keyrings has none of the caller's either.  What refuses the call for another reason, such as a filter
	 * around this launch, leaves the caller's keyring in place. */
	return result < 0 && result != -ENOSYS ? (int)result : 0;
}
