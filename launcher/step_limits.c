/* Steps on the process itself that are not about identity: no_new_privs, host name, loopback, rlimits, umask, keyring. */
#include "launch.h"

#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sockios.h>

#define SOCK_DGRAM_CLOEXEC (2 | 02000000)

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

int run_loopback_up(const struct step *step, struct env *env)
{
	struct ifreq request = { .ifr_ifrn.ifrn_name = "lo", .ifr_ifru.ifru_flags = IFF_UP };
	int fd = (int)K(__NR_socket, 1 /* AF_UNIX is enough to name an interface */, SOCK_DGRAM_CLOEXEC, 0), netns, result;

	(void)step; /* the step has no fields */
	if (fd < 0)
		return fd;
	result = (int)K(__NR_ioctl, fd, SIOCSIFFLAGS, &request);
	if (!result) /* for init, which joins it; ptrace rules would refuse init the way by this process' pidfd */
		result = netns = (int)K(__NR_ioctl, fd, SIOCGSKNS);
	K(__NR_close, fd);
	if (result < 0)
		return result;
	/* Where the child was born in it, for the hooks, nobody waits for it. */
	result = env->plan->seen[STEP_JOIN_NETWORK] ? tell_peer(env, 'N', &netns, 1) : 0;
	K(__NR_close, netns);
	return result;
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
