/* Small things that several handlers need: descriptors, writing, clocks, the one-letter go-aheads. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/socket.h>
#include <linux/time.h>

#define MSG_NOSIGNAL 0x4000

int slot(const struct env *env, const struct value *field)
{
	return env->slots[field->number];
}

int write_all(int fd, const void *bytes, u64 size)
{
	const u8 *at = bytes;

	while (size) {
		long done = K(__NR_write, fd, at, size);

		if (done == -EINTR)
			continue;
		if (done <= 0)
			return done ? (int)done : -EIO;
		at += done, size -= (u64)done;
	}
	return 0;
}

int write_file_at(int directory, const char *path, const void *bytes, u64 size)
{
	int fd = (int)K(__NR_openat, directory, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC), result;

	if (fd < 0)
		return fd;
	/* Control files take a value in one write(2). */
	result = (int)K(__NR_write, fd, bytes, size);
	K(__NR_close, fd);
	return result < 0 ? result : 0;
}

/* A path of the sandbox, resolved below its root.  No link is followed, wherever it leads: what an earlier command has left
 * in a workspace would else move a mount, or a protection, to a place that the plan does not name.  With O_NOFOLLOW a link
 * in the last place is opened itself. */
int open_in_root(const struct env *env, const char *path, int flags)
{
	const struct open_how how = { .flags = (u64)(unsigned)(flags | O_CLOEXEC),
				      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };

	return (int)K(__NR_openat2, env->root, path, &how, sizeof(how));
}

u64 clock_ns(int clock)
{
	struct __kernel_timespec now = { 0, 0 };

	K(__NR_clock_gettime, clock, &now);
	return (u64)now.tv_sec * 1000000000U + (u64)now.tv_nsec;
}

/* struct msghdr and cmsghdr with descriptors, as the kernel has them (uapi does not export them). */
struct rights {
	u64 length;
	i32 level, type;
	i32 fds[MOST_RIGHTS];
};

struct message_header {
	void *name;
	u64 name_length;
	struct { void *base; u64 length; } *parts;
	u64 part_count;
	void *control;
	u64 control_length, flags;
};

#define RIGHTS_LENGTH(count) (16U + 4U * (count)) /* CMSG_LEN(count * sizeof(int)) */

/* One record on a SOCK_SEQPACKET socket, with descriptors beside it. */
int send_record(int socket, const void *record, u64 size, const int *fds, u32 count)
{
	struct rights rights;
	__typeof__(*((struct message_header *)0)->parts) part = { (void *)(uintptr_t)record, size };
	const struct message_header header = { .parts = &part, .part_count = 1, .control = count ? &rights : NULL,
					       .control_length = count ? RIGHTS_LENGTH(count) : 0 };
	long result;

	rights.length = RIGHTS_LENGTH(count);
	rights.level = 1 /* SOL_SOCKET */;
	rights.type = 1 /* SCM_RIGHTS */;
	for (u32 i = 0; i < count; i++)
		rights.fds[i] = fds[i];
	result = K(__NR_sendmsg, socket, &header, MSG_NOSIGNAL);
	return result < 0 ? (int)result : 0;
}

/* Returns the record's size, 0 at the end of file; *count is how many descriptors came, at most as many as it was. */
long receive_record(int socket, void *record, u64 size, int *fds, u32 *count, int flags)
{
	struct rights rights;
	__typeof__(*((struct message_header *)0)->parts) part = { record, size };
	const struct message_header header = { .parts = &part, .part_count = 1, .control = *count ? &rights : NULL,
					       .control_length = *count ? RIGHTS_LENGTH(*count) : 0 };
	long got;

	rights.length = 0;
	do
		got = K(__NR_recvmsg, socket, &header, flags | 0x40000000 /* MSG_CMSG_CLOEXEC */);
	while (got == -EINTR);
	*count = got > 0 && rights.length > RIGHTS_LENGTH(0) && rights.type == 1 ? (u32)(rights.length - 16) / 4 : 0;
	for (u32 i = 0; i < *count; i++)
		fds[i] = rights.fds[i];
	return got;
}

int send_letter(int socket, char letter, const int *fds, u32 count)
{
	int result = send_record(socket, &letter, 1, fds, count);

	/* The latter when it ended with something unread. */
	return result == -EPIPE || result == -ECONNRESET ? -EOWNERDEAD : result;
}

int receive_letter(int socket, char letter, int *fds, u32 count)
{
	char got = 0;
	u32 came = count;
	long result = receive_record(socket, &got, 1, fds, &came, 0);

	if (result == 0 || result == -ECONNRESET)
		return -EOWNERDEAD;
	if (result < 0)
		return (int)result;
	return got == letter && came == count ? 0 : -EPROTO;
}

int tell_letter(struct env *env, char letter)
{
	return send_letter(env->child_socket, letter, NULL, 0);
}

int await_letter(struct env *env, char letter)
{
	return receive_letter(env->parent_socket, letter, NULL, 0);
}

int tell_peer(struct env *env, char letter, const int *fds, u32 count)
{
	return send_letter(env->peer, letter, fds, count);
}

int await_peer(struct env *env, char letter, int *fds, u32 count)
{
	return receive_letter(env->peer, letter, fds, count);
}
