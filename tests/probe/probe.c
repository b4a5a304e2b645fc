/* A static program that tries things inside a sandbox and prints what came of them.
 *
 *     probe VERB [WORD...] [, VERB [WORD...]]...
 *
 * Each line of output is the number of the verb, a tab, and a text; errors are errno names.  Exit code 0, or 64 for a
 * command line it does not understand. */
#include "probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int number;

void say(const char *format, ...)
{
	va_list words;

	printf("%d\t", number);
	va_start(words, format);
	vprintf(format, words);
	va_end(words);
	putchar('\n');
	fflush(stdout);
}

static const struct {
	int number;
	const char *name;
} errors[] = {
#define E(name) { name, #name }
	E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(ENOEXEC), E(EBADF), E(ECHILD), E(EAGAIN),
	E(ENOMEM), E(EACCES), E(EFAULT), E(ENOTBLK), E(EBUSY), E(EEXIST), E(EXDEV), E(ENODEV), E(ENOTDIR), E(EISDIR),
	E(EINVAL), E(ENFILE), E(EMFILE), E(ENOTTY), E(ETXTBSY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EMLINK),
	E(EPIPE), E(ERANGE), E(EDEADLK), E(ENAMETOOLONG), E(ENOSYS), E(ENOTEMPTY), E(ELOOP), E(ENODATA), E(EOVERFLOW),
	E(EBADFD), E(EUSERS), E(ENOTSOCK), E(EPROTOTYPE), E(EPROTONOSUPPORT), E(ESOCKTNOSUPPORT), E(EOPNOTSUPP),
	E(EPFNOSUPPORT), E(EAFNOSUPPORT), E(EADDRINUSE), E(EADDRNOTAVAIL), E(ENETDOWN), E(ENETUNREACH), E(ECONNRESET),
	E(ENOBUFS), E(ETIMEDOUT), E(ECONNREFUSED), E(EHOSTUNREACH), E(EALREADY), E(EINPROGRESS), E(ESTALE), E(EDQUOT),
	E(ENOKEY), E(EKEYEXPIRED), E(EKEYREVOKED),
#undef E
};

const char *errno_name(int wanted)
{
	static char other[16];

	for (unsigned i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i].number == wanted)
			return errors[i].name;
	snprintf(other, sizeof(other), "errno-%d", wanted);
	return other;
}

const char *outcome(long result)
{
	return result < 0 ? errno_name(errno) : "OK";
}

int in_child(int (*function)(void *), void *argument, char *text, unsigned size)
{
	int status = 0, error = 0, pipes[2];
	pid_t pid;

	if (pipe(pipes) < 0 || (pid = fork()) < 0) {
		snprintf(text, size, "%s", errno_name(errno));
		return -1;
	}
	if (pid == 0) {
		error = function(argument);
		_exit(write(pipes[1], &error, sizeof(error)) == sizeof(error) ? 0 : 1);
	}
	close(pipes[1]);
	if (read(pipes[0], &error, sizeof(error)) != sizeof(error))
		error = -1;
	close(pipes[0]);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		snprintf(text, size, "signal-%d", WTERMSIG(status));
	else if (error < 0)
		snprintf(text, size, "no-answer");
	else
		snprintf(text, size, "%s", error ? errno_name(error) : "OK");
	return error;
}

static const struct verb *find(const char *name)
{
	static const struct verb *const tables[] = { file_verbs, call_verbs, resource_verbs, socket_verbs };

	for (unsigned t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct verb *verb = tables[t]; verb->name; verb++)
			if (!strcmp(verb->name, name))
				return verb;
	return NULL;
}

int main(int argc, char **argv)
{
	int at = 1;

	while (at < argc) {
		int end = at;

		while (end < argc && strcmp(argv[end], ",") != 0)
			end++;
		const struct verb *verb = end > at ? find(argv[at]) : NULL;

		if (!verb || (verb->arguments >= 0 && verb->arguments != end - at - 1)) {
			fprintf(stderr, "probe: no verb, or not its arguments: %s\n", end > at ? argv[at] : ",");
			return 64;
		}
		argv[end] = NULL;
		verb->run(end - at - 1, argv + at + 1);
		number++;
		at = end + 1;
	}
	return 0;
}
