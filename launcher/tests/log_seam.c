/* The hosted seam of nucleus-log: the real kernel, with faults on the writes of frames when NUCLEUS_LOG_FAULTS says so.
 *
 * "FROM TO ERRNO": of the writes to the log, those from FROM to TO write half of what they should, or with an ERRNO
 * above 0 nothing and fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys.h"

int program(int argc, char **argv, char **environment, const u64 *auxiliary);

static long from, to, error, writes;

long kernel(long number, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (number == SYS_write && from && ++writes >= from && writes <= to) {
		if (error)
			return -error;
		c /= 2;
	}
	result = syscall(number, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}

_Noreturn void sys_exit(int status)
{
	_exit(status);
}

int main(int argc, char **argv)
{
	const char *faults = getenv("NUCLEUS_LOG_FAULTS");

	if (faults && sscanf(faults, "%ld %ld %ld", &from, &to, &error) != 3)
		return 2;
	return program(argc, argv, NULL, NULL);
}
