/* Verbs about what a process has and may use: descriptors, ids, memory, processes, processor time, System V objects. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* "NUMBER TARGET" of every open descriptor; asks the kernel for each number, so that nothing has to be opened. */
static void run_fds(int count, char **words)
{
	(void)count, (void)words;
	for (int fd = 0; fd < 4096; fd++) {
		char path[32], target[256];
		ssize_t length;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = 0;
		say("%d %s", fd, target);
	}
}

/* "UID GID GROUP,GROUP" */
static void run_ids(int count, char **words)
{
	gid_t groups[64];
	int number = getgroups(64, groups);
	char text[1024] = "", one[16];

	(void)count, (void)words;
	for (int i = 0; i < number; i++) {
		snprintf(one, sizeof(one), "%s%u", i ? "," : "", (unsigned)groups[i]);
		strcat(text, one);
	}
	say("%u %u %s", (unsigned)geteuid(), (unsigned)getegid(), text);
}

/* Touches so many MiB, in steps; "reached N" each 8. */
static void run_memory(int count, char **words)
{
	long wanted = atol(words[0]);

	(void)count;
	for (long i = 0; i < wanted; i++) {
		char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (block == MAP_FAILED) {
			say("%s %ld", errno_name(errno), i);
			return;
		}
		memset(block, 0x5a, 1 << 20);
		if (i % 8 == 7)
			say("reached %ld", i + 1);
	}
	say("all %ld", wanted);
}

/* Forks up to so many children that wait, says how many there were and what stopped it, ends them. */
static void run_processes(int count, char **words)
{
	int wanted = atoi(words[0]), made = 0, error = 0;
	pid_t *pids = calloc((size_t)wanted, sizeof(*pids));

	(void)count;
	for (; pids && made < wanted; made++) {
		pids[made] = fork();
		if (pids[made] == 0) {
			for (;;)
				pause();
		}
		if (pids[made] < 0) {
			error = errno;
			break;
		}
	}
	for (int i = 0; i < made; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	free(pids);
	say("%d %s", made, error ? errno_name(error) : "OK");
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Computes for so many seconds of the clock on the wall: "PROCESSOR-SECONDS WALL-SECONDS". */
static void run_burn(int count, char **words)
{
	double started = seconds(CLOCK_MONOTONIC), end = started + atof(words[0]);
	volatile unsigned long turns = 0;

	(void)count;
	while (seconds(CLOCK_MONOTONIC) < end)
		turns = turns + 1;
	say("%.3f %.3f", seconds(CLOCK_PROCESS_CPUTIME_ID), seconds(CLOCK_MONOTONIC) - started);
}

/* The host's shared memory segment with that key, and how many objects of each kind the tables show. */
static void run_sysv(int count, char **words)
{
	static const char *const kinds[] = { "shm", "sem", "msg" };

	(void)count;
	say("key %s", outcome(shmget((key_t)strtol(words[0], NULL, 0), 0, 0)));
	for (int i = 0; i < 3; i++) {
		char path[32], line[512];
		int lines = -1; /* a heading */
		snprintf(path, sizeof(path), "/proc/sysvipc/%s", kinds[i]);
		FILE *table = fopen(path, "re");

		while (table && fgets(line, sizeof(line), table))
			lines++;
		if (table)
			fclose(table);
		say("%s %d", kinds[i], table ? lines : -1);
	}
}

/* "NAME SOFT HARD" */
static void run_limits(int count, char **words)
{
	static const struct {
		const char *name;
		int number;
	} limits[] = {
		{ "core", RLIMIT_CORE }, { "nofile", RLIMIT_NOFILE }, { "nproc", RLIMIT_NPROC }, { "memlock", RLIMIT_MEMLOCK },
		{ "fsize", RLIMIT_FSIZE }, { "cpu", RLIMIT_CPU }, { "stack", RLIMIT_STACK },
	};

	(void)count, (void)words;
	for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit limit = { 0, 0 };

		getrlimit(limits[i].number, &limit);
		say("%s %lld %lld", limits[i].name, (long long)limit.rlim_cur, (long long)limit.rlim_max);
	}
}

static void run_environment(int count, char **words)
{
	(void)count, (void)words;
	for (char **entry = environ; *entry; entry++)
		say("%s", *entry);
}

/* Waits to be ended. */
static void run_wait(int count, char **words)
{
	(void)count;
	say("waiting");
	sleep((unsigned)atoi(words[0]));
	say("slept");
}

const struct verb resource_verbs[] = {
	{ "fds", 0, run_fds },	     { "ids", 0, run_ids },	  { "memory", 1, run_memory }, { "processes", 1, run_processes },
	{ "burn", 1, run_burn },     { "sysv", 1, run_sysv },	  { "limits", 0, run_limits },
	{ "environment", 0, run_environment }, { "wait", 1, run_wait }, { NULL, 0, NULL },
};
