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

/* A path of the sandbox, resolved below its root: no way out by "..", absolute or magic links. */
int open_in_root(const struct env *env, const char *path, int flags)
{
	const struct open_how how = { .flags = (u64)(unsigned)(flags | O_CLOEXEC),
				      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)K(__NR_openat2, env->root, path, &how, sizeof(how));
}

u64 clock_ns(int clock)
{
	struct __kernel_timespec now = { 0, 0 };

	K(__NR_clock_gettime, clock, &now);
	return (u64)now.tv_sec * 1000000000U + (u64)now.tv_nsec;
}

/* struct msghdr and cmsghdr with one descriptor, as the kernel has them (uapi does not export them). */
struct rights {
	u64 length;
	i32 level, type;
	i32 fd, padding;
};

struct message_header {
	void *name;
	u64 name_length;
	struct { void *base; u64 length; } *parts;
	u64 part_count;
	void *control;
	u64 control_length, flags;
};

#define RIGHTS_LENGTH 20U /* CMSG_LEN(sizeof(int)) */

/* One record on a SOCK_SEQPACKET socket, with a descriptor beside it unless fd is -1. */
int send_record(int socket, const void *record, u64 size, int fd)
{
	struct rights rights = { RIGHTS_LENGTH, 1 /* SOL_SOCKET */, 1 /* SCM_RIGHTS */, fd, 0 };
	__typeof__(*((struct message_header *)0)->parts) part = { (void *)(uintptr_t)record, size };
	const struct message_header header = { .parts = &part, .part_count = 1, .control = fd < 0 ? NULL : &rights,
					       .control_length = fd < 0 ? 0 : sizeof(rights) };
	long result = K(__NR_sendmsg, socket, &header, MSG_NOSIGNAL);

	return result < 0 ? (int)result : 0;
}

/* Returns the record's size, 0 at the end of file; *fd is the descriptor beside it, or stays as it is. */
long receive_record(int socket, void *record, u64 size, int *fd, int flags)
{
	struct rights rights = { .length = 0 };
	__typeof__(*((struct message_header *)0)->parts) part = { record, size };
	const struct message_header header = { .parts = &part, .part_count = 1, .control = &rights,
					       .control_length = sizeof(rights) };
	long got;

	do
		got = K(__NR_recvmsg, socket, &header, flags | 0x40000000 /* MSG_CMSG_CLOEXEC */);
	while (got == -EINTR);
	if (got > 0 && rights.length == RIGHTS_LENGTH && rights.type == 1)
		*fd = rights.fd;
	return got;
}

int send_letter(int socket, char letter, int fd)
{
	return send_record(socket, &letter, 1, fd);
}

int receive_letter(int socket, char letter, int *fd)
{
	char got = 0;
	long result = receive_record(socket, &got, 1, fd, 0);

	if (result == 0 || result == -ECONNRESET) /* the latter when it ended with something unread */
		return -EOWNERDEAD;
	if (result < 0)
		return (int)result;
	return got == letter ? 0 : -EPROTO;
}

int tell_letter(struct env *env, char letter)
{
	return send_letter(env->child_socket, letter, -1);
}

int await_letter(struct env *env, char letter)
{
	int unused = -1;

	return receive_letter(env->parent_socket, letter, &unused);
}

int tell_peer(struct env *env, char letter)
{
	int result = send_letter(env->peer, letter, -1);

	return result == -EPIPE ? -EOWNERDEAD : result; /* the other one has failed, and has said why */
}

int await_peer(struct env *env, char letter)
{
	int unused = -1;

	return receive_letter(env->peer, letter, &unused);
}
