/* The workload's own terminal: a pair of the container's devpts, whose master goes out by a socket. */
#include "launch.h"

#include <linux/fcntl.h>

/* asm-generic/ioctls.h and its neighbours clash with the launcher's own names; the numbers are ABI. */
#define TIOCSCTTY_ 0x540eU
#define TIOCSWINSZ_ 0x5414U
#define TIOCSPTLCK_ 0x40045431U
#define TIOCGPTPEER_ 0x5441U

struct window_size {
	u16 rows, columns, x_pixels, y_pixels;
};

static const char multiplexer[] = "/dev/ptmx"; /* what runc names the descriptor that it sends */

/* The terminal's process side, opened by the master's descriptor: no path below /dev/pts is followed. */
static int open_pair(const struct step *step, int *master)
{
	const struct window_size size = { (u16)step->field[1].number, (u16)step->field[2].number, 0, 0 };
	int unlocked = 0, result;

	*master = (int)K(__NR_openat, AT_FDCWD, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (*master < 0)
		return *master;
	result = (int)K(__NR_ioctl, *master, TIOCSPTLCK_, &unlocked);
	if (!result && size.rows)
		result = (int)K(__NR_ioctl, *master, TIOCSWINSZ_, &size);
	return result ? result : (int)K(__NR_ioctl, *master, TIOCGPTPEER_, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* For the monitor: is the workload in a process group, or on a terminal, of its own? */
void set_apart(struct env *env)
{
	u64 cursor = 0;
	struct step step;

	while (plan_next(env->plan, &cursor, &step)) {
		env->apart |= step.opcode == STEP_SPAWN_INSIDE && step.field[0].number;
		if (step.opcode != STEP_OPEN_CONSOLE)
			continue;
		env->apart = true;
		/* Whoever receives the master need not wait for the end of the container to see that nothing more comes. */
		K(__NR_close, slot(env, &step.field[0]));
	}
}

int run_open_console(const struct step *step, struct env *env)
{
	int channel = slot(env, &step->field[0]), master, terminal = open_pair(step, &master), result = terminal;

	if (result >= 0)
		result = send_record(channel, multiplexer, sizeof(multiplexer) - 1, &master, 1);
	if (master >= 0)
		K(__NR_close, master);
	K(__NR_close, channel);
	if (result >= 0)
		result = (int)K(__NR_setsid);
	if (result >= 0)
		result = (int)K(__NR_ioctl, terminal, TIOCSCTTY_, 0);
	for (int stream = 0; result >= 0 && stream < 3; stream++)
		result = (int)K(__NR_dup3, terminal, stream, 0);
	if (terminal >= 0)
		K(__NR_close, terminal);
	return result < 0 ? result : 0;
}
