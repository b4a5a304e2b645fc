/* The last step: streams, environment, working directory, execve. */
#include "launch.h"

#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#define MAX_STRINGS 32768U
#define MAX_ENVIRONMENT (2U << 20)

static char environment[MAX_ENVIRONMENT + 1];
static const char *arguments[MAX_STRINGS], *variables[MAX_STRINGS];

/* NUL-terminated entries → pointers, NULL last. */
static int split(const char *bytes, u64 size, const char **into)
{
	u32 n = 0;

	for (u64 at = 0; at < size; at += text_length(bytes + at) + 1) {
		if (n >= MAX_STRINGS - 1)
			return -E2BIG;
		into[n++] = bytes + at;
	}
	into[n] = NULL;
	return 0;
}

static int read_environment(int fd)
{
	u64 size = 0;

	for (;;) {
		long got = K(__NR_pread64, fd, environment + size, MAX_ENVIRONMENT - size, size);

		if (got < 0)
			return (int)got;
		if (!got)
			break;
		size += (u64)got;
		if (size == MAX_ENVIRONMENT)
			return -E2BIG;
	}
	if (size && environment[size - 1])
		return -EBADMSG;
	return split(environment, size, variables);
}

int await_init(struct env *env)
{
	int result = env->init_ready || env->peer < 0 ? 0 : await_peer(env, 'i', NULL, 0);

	env->init_ready = !result;
	return result;
}

int run_exec(const struct step *step, struct env *env)
{
	const char *candidates = step->field[0].bytes;
	int result = split(step->field[1].bytes, step->field[1].number, arguments), found = -ENOENT;

	if (!result)
		result = read_environment(slot(env, &step->field[2]));
	if (!result)
		result = await_init(env);
	if (result < 0)
		return result;
	restore_slice(env); /* where there was no filter to be installed */
	result = (int)K(__NR_chdir, step->field[3].bytes);
	if (result < 0) {
		env->failure.detail = 1; /* the working directory, not the program */
		return result;
	}
	result = (int)K(__NR_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (result < 0)
		return result;
	for (u64 at = 0; at < step->field[0].number; at += text_length(candidates + at) + 1) {
		result = (int)K(__NR_execve, candidates + at, arguments, variables);
		if (result != -ENOENT && result != -ENOTDIR && result != -EACCES)
			return result;
		if (result == -EACCES)
			found = -EACCES;
	}
	return found;
}
