/* Calls that the kernel asks about by the listener of a filter: those that the filter refuses, or kills for.
 * ✗ decides, ✗ writes the record: trace.c. */
#include "trace.h"

#include <linux/ioctl.h>
#include <linux/poll.h>
#include <linux/signal.h>

static int listener;

/* By a descriptor, and only while the call still waits for its answer: then the number cannot be somebody else's yet. */
static bool kill_process(const struct seccomp_notif *asked)
{
	u64 id = asked->id;
	int pidfd = open_process(asked->pid);
	long result = -ESRCH;

	if (pidfd < 0)
		return false;
	if (!K(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id))
		result = K(__NR_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	K(__NR_close, pidfd);
	return !result;
}

static void answer(const struct seccomp_notif *asked)
{
	struct seccomp_notif_resp response = { .id = asked->id };
	u32 decided = answer_to(&asked->data);

	(void)note_call(asked->pid, &asked->data, decided);
	if (decided == ANSWER_KILL && kill_process(asked))
		return;
	response.error = decided > MAX_ANSWER_ERRNO ? -EPERM : -(i32)decided;
	(void)K(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &response); /* it may have been killed meanwhile */
}

/* Until nobody has the filter any more.  A signal that comes before a call is taken breaks it off with EINTR: it would have
 * been refused anyway. */
void serve_listener(int fd)
{
	static struct { struct seccomp_notif asked; u8 later[256]; } notice; /* a newer kernel's may be longer */
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	long result;

	listener = fd;
	for (;;) {
		waiting.revents = 0;
		result = K(__NR_ppoll, &waiting, 1, NULL, NULL, 0);
		if (result == -EINTR)
			continue;
		if (result < 0 || !(waiting.revents & POLLIN))
			return;
		memset(&notice, 0, sizeof(notice));
		if (!K(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &notice.asked))
			answer(&notice.asked);
	}
}
