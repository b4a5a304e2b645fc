/* Whoever records a container's calls: attached to it, or as the listener of its filter; and the end of that record. */
#include "launch.h"

#include <linux/filter.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/signal.h>
#include <linux/time.h>

#include "trace.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif
#define PAGE 4096
#define SHARED_MEMORY 0x21, -1, 0 /* MAP_SHARED | MAP_ANONYMOUS, no file */
#define NO_LISTENER (-1)
#define LOOK_AGAIN_NS 20000

/* From the moment that the filter is in place its process makes no call that is not asked about, and nobody can answer
 * before the listener has the descriptor: so a twin with the same descriptors, made before, hands it over.  It is init's
 * child, which reaps it. */
_Noreturn static void hand_over(const int *listener, int channel, long process)
{
	const struct __kernel_timespec soon = { 0, LOOK_AGAIN_NS };
	int fd;
	char letter = 0;
	bool taken;

	while (!(fd = __atomic_load_n(listener, __ATOMIC_ACQUIRE)))
		K(__NR_nanosleep, &soon, NULL);
	if (fd == NO_LISTENER)
		sys_exit(0);
	taken = !send_letter(channel, TRACE_LISTENER, &fd, 1);
	/* The table is that of the process too: as long as it had the descriptor itself, the kernel would take it for a
	 * listener that lives, and its calls would wait for ever when the real one is dead. */
	K(__NR_close, fd);
	if (!taken || K(__NR_recvfrom, channel, &letter, 1, 0, NULL, NULL) != 1 || letter != TRACE_TAKEN)
		K(__NR_kill, process, SIGKILL);
	sys_exit(0);
}

/* From here on the tracer sees this process and all that come from it; each call that the filter has it asked about stops.
 * It is the kernel that tells it who has sent the letter. */
int run_attach_tracer(const struct step *step, struct env *env)
{
	int channel = slot(env, &step->field[0]);
	u8 letter = TRACE_ATTACH, answer[2] = { 0 };
	/* After a change of ids only a tracer with rights over the host could attach. */
	long result = K(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);

	if (result < 0)
		return (int)result;
	result = K(__NR_sendto, channel, &letter, 1, MSG_NOSIGNAL, NULL, 0);
	if (result < 0)
		return (int)result;
	do
		result = K(__NR_recvfrom, channel, answer, sizeof(answer), 0, NULL, NULL);
	while (result == -EINTR);
	if (result < 0)
		return (int)result;
	if (result < 1 || answer[0] != TRACE_TAKEN)
		return -EPIPE;
	if (result > 1)
		return -answer[1];
	return (int)K(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); /* it may wait for long before it executes */
}

int run_trace_seccomp(const struct step *step, struct env *env)
{
	const struct sock_fprog program = { .len = (unsigned short)(step->field[0].number / 8),
					    .filter = (struct sock_filter *)(uintptr_t)step->field[0].bytes };
	long process = K(__NR_getpid), listener, shared, twin;

	if (!step->field[0].number || step->field[0].number / 8 > BPF_MAXINSNS)
		return -EINVAL;
	restore_slice(env);
	shared = K(__NR_mmap, 0, PAGE, 3 /* PROT_READ | PROT_WRITE */, SHARED_MEMORY);
	if (shared < 0 && shared > -PAGE)
		return (int)shared;
	twin = K(__NR_clone, CLONE_FILES | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (!twin)
		hand_over((const int *)shared, slot(env, &step->field[1]), process);
	if (twin < 0)
		return (int)twin;
	listener = K(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
	if (listener == -EINVAL)
		listener = K(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	__atomic_store_n((int *)shared, listener < 0 ? NO_LISTENER : (int)listener, __ATOMIC_RELEASE);
	return listener < 0 ? (int)listener : 0;
}

/* Whoever sees that the container has ended finds a record that is complete. */
int run_await_trace(const struct step *step, struct env *env)
{
	const struct __kernel_timespec longest = { 5, 0 };
	int channel = slot(env, &step->field[0]);
	struct pollfd end = { .fd = channel, .events = POLLIN };
	struct __kernel_timespec left = longest;
	long result;

	/* Where the filter was never in place, this is what the listener waits for. */
	(void)K(__NR_shutdown, channel, 1 /* SHUT_WR */, 0); /* it may have ended by itself */
	do
		result = K(__NR_ppoll, &end, 1, &left, NULL, 0);
	while (result == -EINTR);
	return result < 0 ? (int)result : result ? 0 : -ETIMEDOUT;
}
