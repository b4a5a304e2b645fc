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

int tell_letter(struct env *env, char letter)
{
	long result = K(__NR_sendto, env->child_socket, &letter, 1, MSG_NOSIGNAL, NULL, 0);

	return result < 0 ? (int)result : 0;
}

int await_letter(struct env *env, char letter)
{
	char got = 0;
	long result;

	do
		result = K(__NR_recvfrom, env->parent_socket, &got, 1, 0, NULL, NULL);
	while (result == -EINTR);
	if (result == 0)
		return -EOWNERDEAD; /* the monitor is gone: nobody is left to report to */
	if (result < 0)
		return (int)result;
	return got == letter ? 0 : -EPROTO;
}
