/* The network namespace.  Making it takes the kernel longer than anything else of a start: a process of its own does that
 * from the moment in which the ids are mapped, beside the mounts, and has ended before anything is executed.
 * ✗ interfaces but the loopback, addresses, routes. */
#include "launch.h"

#include <linux/if.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/sockios.h>

#include "init.h"

#define SOCK_DGRAM_CLOEXEC (2 | 02000000)
#define SOCK_SEQPACKET_CLOEXEC (5 | 02000000)

_Noreturn static void network(struct env *env)
{
	env->actor = ACTOR_NETWORK;
	if (run_phase(env, PHASE_NETWORK))
		die(env);
	sys_exit(0);
}

int run_spawn_network(const struct step *step, struct env *env)
{
	static const i32 wanted = NETWORK_PID;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (u64)(uintptr_t)&wanted,
				   .set_tid_size = 1 };
	int pair[2];
	long pid = K(__NR_socketpair, 1 /* AF_UNIX */, SOCK_SEQPACKET_CLOEXEC, 0, pair);

	(void)step; /* the step has no fields */
	if (pid < 0)
		return (int)pid;
	env->network = pair[0];
	pid = K(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		K(__NR_close, pair[0]);
		env->network = pair[1];
		network(env);
	}
	K(__NR_close, pair[1]); /* so that its end shows as end of file */
	env->network_pid = pid < 0 ? -1 : (int)pid;
	return pid < 0 ? (int)pid : 0;
}

/* Its end has nothing to tell: what it has made has arrived, or its own record says why not.  Init waits for it; this is
 * for those who cannot wait for init. */
int collect_network(struct env *env)
{
	long result;

	if (env->network_pid < 0)
		return 0;
	do
		result = K(__NR_wait4, env->network_pid, NULL, 0, NULL);
	while (result == -EINTR);
	env->network_pid = -1;
	return result < 0 ? (int)result : 0;
}

static int enter(struct env *env)
{
	int netns, result = receive_letter(env->network, 'N', &netns, 1);

	if (result)
		return result;
	result = (int)K(__NR_setns, netns, CLONE_NEWNET);
	K(__NR_close, netns);
	K(__NR_close, env->network);
	env->network = -1;
	return result;
}

int run_enter_network(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return enter(env);
}

/* Else /proc/1/net would show the host's network. */
int run_join_network(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return enter(env);
}

/* ---- in the process itself ---------------------------------------------------------------------------------------- */

/* What belongs to uid 0 of the namespace belongs to it from the beginning. */
int run_await_id_map(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	return receive_letter(env->network, 'M', NULL, 0);
}

int run_unshare_network(const struct step *step, struct env *env)
{
	(void)step, (void)env; /* the step has no fields */
	return (int)K(__NR_unshare, CLONE_NEWNET);
}

int run_loopback_up(const struct step *step, struct env *env)
{
	struct ifreq request = { .ifr_ifrn.ifrn_name = "lo", .ifr_ifru.ifru_flags = IFF_UP };

	(void)step; /* the step has no fields */
	env->interfaces = (int)K(__NR_socket, 1 /* AF_UNIX is enough to name one */, SOCK_DGRAM_CLOEXEC, 0);
	return env->interfaces < 0 ? env->interfaces : (int)K(__NR_ioctl, env->interfaces, SIOCSIFFLAGS, &request);
}

/* A socket names the namespace that it was made in: ptrace rules would refuse the others the way by this process' pidfd. */
int run_hand_over_network(const struct step *step, struct env *env)
{
	int netns = (int)K(__NR_ioctl, env->interfaces, SIOCGSKNS), result = netns < 0 ? netns : 0;

	(void)step; /* the step has no fields */
	for (int receiver = 0; !result && receiver < 2; receiver++) /* child and workload */
		result = send_letter(env->network, 'N', &netns, 1);
	if (netns >= 0)
		K(__NR_close, netns);
	return result;
}
