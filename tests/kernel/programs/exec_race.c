/* exec_race PROGRAM TIMES: in children whose first thread makes calls that are long to record, another thread executes
 * PROGRAM.  Prints how those ended.  ✗ a test: test_trace.py starts it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int begun;
static const char *program;
static char from[2048], to[2048];

static void *execute(void *patience)
{
	char *const words[] = { (char *)program, NULL };

	while (!begun)
		;
	for (volatile long i = 0; i < (long)patience; i++)
		;
	execv(program, words);
	_exit(9);
}

static void child(long number)
{
	pthread_t other;

	memset(from, 1, sizeof(from) - 1);
	memset(to, 2, sizeof(to) - 1);
	pthread_create(&other, NULL, execute, (void *)(number % 50 * 2000));
	for (int i = 0;; i++) {
		int length = snprintf(from, 32, "/%ld-%d", number, i);

		from[length] = 'x';
		begun = 1;
		syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	}
}

int main(int count, char **words)
{
	int made = 0, refused = 0, other = 0, times = count == 3 ? atoi(words[2]) : 0;

	program = words[1];
	for (long i = 0; i < times; i++) {
		int status = 0;
		pid_t pid = fork();

		if (!pid)
			child(i);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			made++;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
			refused++;
		else
			other++;
	}
	printf("made %d, refused %d, other %d\n", made, refused, other);
	return 0;
}
