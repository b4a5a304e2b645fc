/* Calls that the kernel asks about by the listener of a filter: those that the filter refuses, or kills for.
 *
 * The kernel does not tell what the filter has returned, so this reads it out of the filter itself. */
#include "trace.h"

#include <linux/filter.h>
#include <linux/ioctl.h>
#include <linux/poll.h>
#include <linux/signal.h>

static int listener;

/* What the filter returns for a call.  Only the instructions that our compiler writes are known; others kill. */
static u32 returned(const struct sock_filter *filter, u32 length, const struct seccomp_data *data)
{
	u32 word, accumulator = 0;

	for (u32 at = 0; at < length; at++) {
		const struct sock_filter *i = &filter[at];
		bool jump;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k % 4 || i->k >= sizeof(*data))
				return SECCOMP_RET_USER_NOTIF | ANSWER_KILL;
			memcpy(&word, (const u8 *)data + i->k, sizeof(word));
			accumulator = word;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			accumulator &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			at += i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = accumulator == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = accumulator > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = accumulator >= i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = accumulator & i->k;
			break;
		default:
			return SECCOMP_RET_USER_NOTIF | ANSWER_KILL;
		}
		at += jump ? i->jt : i->jf;
	}
	return SECCOMP_RET_USER_NOTIF | ANSWER_KILL;
}

static u32 answer_to(const struct sock_filter *filter, u32 length, const struct seccomp_data *data)
{
	u32 value = returned(filter, length, data), answer = value & SECCOMP_RET_DATA;

	if ((value & ~(u32)SECCOMP_RET_DATA) != SECCOMP_RET_USER_NOTIF)
		return ANSWER_KILL;
	return answer <= MAX_ANSWER_ERRNO ? answer : ANSWER_KILL;
}

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

static void answer(const struct seccomp_notif *asked, u32 decided)
{
	struct seccomp_notif_resp response = { .id = asked->id };

	(void)note_call(asked->pid, &asked->data, decided);
	if (decided == ANSWER_KILL && kill_process(asked))
		return;
	response.error = decided > MAX_ANSWER_ERRNO ? -EPERM : -(i32)decided;
	(void)K(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &response); /* it may have been killed meanwhile */
}

/* Until nobody has the filter any more.  A signal that comes before a call is taken breaks it off with EINTR: it would have
 * been refused anyway. */
void serve_listener(int fd, const struct sock_filter *filter, u32 length)
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
			answer(&notice.asked, answer_to(filter, length, &notice.asked.data));
	}
}
