/* Steps that note events: one line of JSON each, in one write, so that lines of several writers never mix.
 *
 * What the line says of the container comes from the plan; the time, the id and the numbers of its end are added here.
 * An event is never worth a launch: where there is no room for it, or nobody reads, it is left out. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/time.h>

#define MAX_LINE 4096U /* PIPE_BUF: at most this is written to a pipe whole or not at all */

/* Same words and same order as ExitRecord.reason of launch/report.py. */
static const char *reason_of(const struct exit_record *exit)
{
	if (exit->flags & EXIT_FAILED)
		return "failed";
	if (exit->flags & EXIT_TIMEOUT)
		return "timeout";
	if (exit->flags & EXIT_OOM && exit->exit_code)
		return "oom";
	if (exit->flags & EXIT_OWNER_LOST)
		return "owner-lost";
	if (exit->flags & EXIT_INIT_KILLED)
		return "host-kill";
	return exit->signal ? "signal" : "exit";
}

static char *put_member(char *at, char *end, const char *name, u64 number)
{
	at = put_text(put_text(put_text(at, end, ",\""), end, name), end, "\":");
	return put_number(at, end, number);
}

static char *put_end(char *at, char *end, const struct exit_record *exit)
{
	at = put_member(at, end, "exit_code", (u64)exit->exit_code);
	at = put_member(at, end, "signal", (u64)exit->signal);
	at = put_text(put_text(put_text(at, end, ",\"reason\":\""), end, reason_of(exit)), end, "\"");
	at = put_member(at, end, "duration_ns", exit->finished_ns - exit->started_ns);
	at = put_member(at, end, "oom_kills", exit->counters[COUNTER_OOM_KILLS]);
	at = put_member(at, end, "memory_peak_bytes", exit->counters[COUNTER_MEMORY_PEAK]);
	at = put_member(at, end, "cpu_us", exit->counters[COUNTER_CPU_USEC]);
	at = put_member(at, end, "pids_denied", exit->counters[COUNTER_PIDS_DENIED]);
	at = put_member(at, end, "user_us", exit->user_us);
	at = put_member(at, end, "system_us", exit->system_us);
	return put_member(at, end, "max_rss_bytes", exit->max_rss_kb * 1024);
}

/* A pipe that is full is not waited for: a reader of events must not be able to hold a container's end. */
static void append_line(int fd, const char *line, u64 size)
{
	struct __kernel_timespec now = { 0, 0 };
	struct pollfd waiting = { fd, POLLOUT, 0 };

	if (K(__NR_ppoll, &waiting, 1, &now, NULL, 0) == 1 && waiting.revents & POLLOUT)
		(void)K(__NR_write, fd, line, size); /* no room on the disk, or no reader any more: left out */
}

static void note(const struct step *step, const struct env *env, const char *type, const struct exit_record *exit)
{
	char line[MAX_LINE], *at = line, *const end = line + sizeof(line) - 1;
	bool direct = step->field[1].number;
	int fd = slot(env, &step->field[0]);

	at = put_number(put_text(at, end, "{\"time_ns\":"), end, clock_ns(0 /* CLOCK_REALTIME */));
	at = put_text(put_text(put_text(at, end, ",\"type\":\""), end, type), end, "\",\"id\":\"");
	at = put_text(put_text(put_text(at, end, env->id), end, "\""), end, step->field[4].bytes);
	if (exit)
		at = put_end(at, end, exit);
	at = put_text(at, end, "}\n");
	if (at >= end)
		return; /* cut: no line any more */
	if (!direct)
		fd = (int)K(__NR_openat, fd, step->field[2].bytes,
			    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	append_line(fd, line, (u64)(at - line));
	if (!direct)
		K(__NR_close, fd);
}

int run_note(const struct step *step, struct env *env)
{
	if (!env->called_off) /* what was killed at the gate has not started */
		note(step, env, step->field[3].bytes, NULL);
	return 0;
}

int run_note_ended(const struct step *step, struct env *env)
{
	const struct exit_record *exit = ended(env);

	if (exit->flags & EXIT_OOM)
		note(step, env, "oom", NULL);
	note(step, env, step->field[3].bytes, exit);
	return 0;
}
