/* The network namespace.  Making it takes the kernel longer than anything else of a start: a process of its own does that
 * from the moment in which the ids are mapped, beside the mounts, and has ended before anything is executed.  Or the
 * container gets one that was made beside an earlier start, and makes one for a later start.
 * ✗ interfaces but the loopback, addresses, routes. */
#include "launch.h"

#include <linux/if.h>
#include <linux/prctl.h>
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

/* A socket of the namespace, or -errno. */
static int bring_loopback_up(void)
{
	struct ifreq request = { .ifr_ifrn.ifrn_name = "lo", .ifr_ifru.ifru_flags = IFF_UP };
	int interfaces = (int)K(__NR_socket, 1 /* AF_UNIX is enough to name one */, SOCK_DGRAM_CLOEXEC, 0), result;

	if (interfaces < 0)
		return interfaces;
	result = (int)K(__NR_ioctl, interfaces, SIOCSIFFLAGS, &request);
	if (result)
		K(__NR_close, interfaces);
	return result ? result : interfaces;
}

/* A socket names the namespace that it was made in: ptrace rules would refuse the others the way by this process' pidfd. */
static int namespace_of(int interfaces)
{
	return (int)K(__NR_ioctl, interfaces, SIOCGSKNS);
}

int run_loopback_up(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	env->interfaces = bring_loopback_up();
	return env->interfaces < 0 ? env->interfaces : 0;
}

int run_hand_over_network(const struct step *step, struct env *env)
{
	int netns = namespace_of(env->interfaces), result = netns < 0 ? netns : 0;

	(void)step; /* the step has no fields */
	for (int receiver = 0; !result && receiver < 2; receiver++) /* child and workload */
		result = send_letter(env->network, 'N', &netns, 1);
	if (netns >= 0)
		K(__NR_close, netns);
	return result;
}

/* ---- spare ones --------------------------------------------------------------------------------------------------- */

/* The monitor stays in it: it has no other use for a network, and ends with the container. */
int run_take_network(const struct step *step, struct env *env)
{
	int netns = slot(env, &step->field[0]), result = (int)K(__NR_setns, netns, CLONE_NEWNET);

	K(__NR_close, netns);
	env->slots[step->field[0].number] = -1;
	return result;
}

/* Nothing of the launch lives on in it: no lock, no pipe whose end somebody waits for.  Whatever is in its way, there is no
 * spare one then, and the next start makes its own. */
_Noreturn static void spare(int receiver)
{
	int interfaces, netns;

	if (K(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || K(__NR_close_range, receiver + 1, ~0U, 0) ||
	    K(__NR_close_range, 0, receiver - 1, 0) || K(__NR_unshare, CLONE_NEWNET))
		sys_exit(1);
	interfaces = bring_loopback_up();
	netns = interfaces < 0 ? interfaces : namespace_of(interfaces);
	sys_exit(netns < 0 || send_letter(receiver, 'N', &netns, 1));
}

int run_spare_network(const struct step *step, struct env *env)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	long pid = K(__NR_clone3, &args, sizeof(args));

	if (!pid)
		spare(slot(env, &step->field[0]));
	env->spare_pid = pid < 0 ? -1 : (int)pid;
	return 0;
}

/* When to look (again) whether it has ended, which a short run does at its end alone: a long one shall not keep a dead
 * process for all its life.  Nothing is waited for here. */
u64 next_look_ns(struct env *env)
{
	if (env->spare_pid >= 0 && K(__NR_wait4, env->spare_pid, NULL, 1 /* WNOHANG */, NULL))
		env->spare_pid = -1;
	return env->spare_pid < 0 ? ~0ULL : clock_ns(1 /* CLOCK_MONOTONIC */) + 1000000000U;
}

/* The launch is over: what is not ready by now is not waited for. */
void end_spare_network(struct env *env)
{
	if (env->spare_pid < 0)
		return;
	K(__NR_kill, env->spare_pid, SIGKILL); /* not reaped yet, so the number is nobody else's */
	while (K(__NR_wait4, env->spare_pid, NULL, 0, NULL) == -EINTR)
		;
	env->spare_pid = -1;
}
