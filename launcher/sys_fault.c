/* The fault seam: at one step of a launch, fail or kill somebody.  Linked to the real kernel instead of seam_none.c; for
 * tests only, never installed.
 *
 * The instruction "STEP ACTION" is read from the file beside the program whose name has ".fault" appended.  ACTION is
 *   e  the step fails with EIO            m, i, w, n  monitor, init, workload, network is killed before the step
 *   p  the process that started the launcher is killed
 *
 * A process inside a sandbox can name nobody outside of it, so that the first step forks a killer first: the launch's
 * processes announce themselves on a socket, whose credentials carry their pids as the killer sees them.  It holds nothing
 * but that socket, and ends when the last of them has ended or executed. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include <linux/time.h>

#define SEQPACKET_CLOEXEC (5 | 02000000)
#define SOL_SOCKET_ 1
#define SO_PASSCRED_ 16
#define PATIENCE_MS 200U

enum target { MONITOR, INIT, WORKLOAD, NETWORK, OWNER, TARGETS }; /* the actors, and then the owner */
static const char letters[TARGETS] = { 'm', 'i', 'w', 'n', 'p' };

struct credentials {
	u64 length;
	i32 level, type;
	i32 pid;
	u32 uid, gid, padding;
};

static int channel = -1;
static u64 wanted_step = ~0ULL;
static char action;
static int announced = -1;

/* ---- the killer -------------------------------------------------------------------------------------------------------- */

static int receive(int socket, char *word, i32 *pid)
{
	struct credentials credentials = { .length = 0 };
	struct { void *base; u64 length; } part = { word, 2 };
	struct { void *name; u64 name_length; void *parts; u64 count; void *control; u64 control_length, flags; } header = {
		.parts = &part, .count = 1, .control = &credentials, .control_length = sizeof(credentials) };
	long got;

	do
		got = K(__NR_recvmsg, socket, &header, 0);
	while (got == -EINTR);
	*pid = credentials.pid;
	return (int)got;
}

static bool strike(const int *pidfds, int target)
{
	if (pidfds[target] < 0)
		return false;
	K(__NR_pidfd_send_signal, pidfds[target], SIGKILL, NULL, 0);
	return true;
}

/* Words: 'h' and a role, 'k' and a target; each 'k' is answered, at the latest when patience ends. */
_Noreturn static void killer(int socket, i32 owner)
{
	int pidfds[TARGETS] = { -1, -1, -1, -1 }, awaited = -1;

	pidfds[OWNER] = (int)K(__NR_pidfd_open, owner, 0);
	for (;;) {
		struct pollfd ready = { .fd = socket, .events = POLLIN };
		const struct __kernel_timespec patience = { .tv_nsec = PATIENCE_MS * 1000000U };
		char word[2] = { 0, 0 };
		i32 pid;

		if (K(__NR_ppoll, &ready, 1, awaited < 0 ? NULL : &patience, NULL, 8) == 0) {
			awaited = -1;
			K(__NR_sendto, socket, "-", 1, 0x4000 /* MSG_NOSIGNAL */, NULL, 0);
			continue;
		}
		if (receive(socket, word, &pid) <= 0)
			sys_exit(0);
		if (word[0] == 'h')
			pidfds[(int)word[1]] = (int)K(__NR_pidfd_open, pid, 0);
		else
			awaited = word[1];
		if (awaited >= 0 && strike(pidfds, awaited)) {
			awaited = -1;
			K(__NR_sendto, socket, "+", 1, 0x4000 /* MSG_NOSIGNAL */, NULL, 0);
		}
	}
}

/* ---- the instruction, the seam ------------------------------------------------------------------------------------------- */

static bool read_instruction(void)
{
	char path[4096 + 8], text[32] = { 0 };
	long size = K(__NR_readlinkat, AT_FDCWD, "/proc/self/exe", path, 4096);
	char *space = text;
	int fd;

	if (size <= 0)
		return false;
	path[size] = 0;
	put_text(path + size, path + sizeof(path) - 1, ".fault");
	fd = (int)K(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = K(__NR_read, fd, text, sizeof(text) - 1);
	K(__NR_close, fd);
	while (*space && *space != ' ')
		space++;
	if (size <= 0 || !*space)
		return false;
	*space = 0;
	action = space[1];
	return parse_number(text, &wanted_step);
}

static void start_killer(void)
{
	const int yes = 1;
	i32 owner = (i32)K(__NR_getppid);
	int pair[2];

	if (!read_instruction() || action == 'e')
		return;
	if (K(__NR_socketpair, 1 /* AF_UNIX */, SEQPACKET_CLOEXEC, 0, pair) < 0)
		sys_exit(99);
	K(__NR_setsockopt, pair[0], SOL_SOCKET_, SO_PASSCRED_, &yes, sizeof(yes));
	if (K(__NR_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
		K(__NR_dup3, pair[0], 0, 0);
		K(__NR_close_range, 1, ~0U, 0);
		killer(0, owner);
	}
	K(__NR_close, pair[0]);
	channel = pair[1];
}

static void tell(char word, char detail)
{
	const char message[2] = { word, detail };

	K(__NR_sendto, channel, message, 2, 0x4000 /* MSG_NOSIGNAL */, NULL, 0);
}

int seam_before_step(const struct env *env, u32 index)
{
	char answer;

	if (announced < 0)
		start_killer();
	if (channel >= 0 && announced != (int)env->actor)
		tell('h', (char)env->actor);
	announced = (int)env->actor;
	if (index != wanted_step)
		return 0;
	if (action == 'e')
		return -EIO;
	for (int target = 0; target < TARGETS; target++)
		if (letters[target] == action) {
			tell('k', (char)target);
			while (K(__NR_recvfrom, channel, &answer, 1, 0, NULL, NULL) == -EINTR)
				;
		}
	return 0;
}
