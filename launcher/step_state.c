/* Steps on the state directory: init's record, removing trees, the reporter that explains a failure. */
#include "launch.h"

#include <linux/fcntl.h>

#define MAX_DEPTH 256

/* Field 22 of /proc/<pid>/stat, counted behind the last ")" because a command's name may hold anything. */
int start_ticks(int pid, u64 *ticks)
{
	char path[40], text[1024], *at, *end;
	long size;
	int fd;

	put_text(put_number(put_text(path, path + 39, "/proc/"), path + 39, (u64)pid), path + 39, "/stat");
	fd = (int)K(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	size = K(__NR_read, fd, text, sizeof(text) - 1);
	K(__NR_close, fd);
	if (size <= 0)
		return size ? (int)size : -EIO;
	text[size] = 0;
	for (at = text + size; at > text && *at != ')'; at--)
		;
	for (unsigned field = 2; *at && field < 22; at++)
		field += *at == ' ';
	for (end = at; *end >= '0' && *end <= '9'; end++)
		;
	*end = 0;
	return parse_number(at, ticks) ? 0 : -EIO;
}

int run_write_init_record(const struct step *step, struct env *env)
{
	struct init_record record = { .magic = "NUCINIT", .version = 1, .init_pid = env->child_pid };
	int fd, result;

	record.monitor_pid = (i32)K(__NR_getpid);
	result = start_ticks(record.monitor_pid, &record.monitor_ticks);
	if (!result)
		result = start_ticks(record.init_pid, &record.init_ticks);
	if (result)
		return result;
	record.building = env->plan->seen[STEP_ANNOUNCE_BUILT];
	env->records = slot(env, &step->field[0]);
	fd = (int)K(__NR_openat, env->records, "init",
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	result = write_all(fd, &record, sizeof(record));
	K(__NR_close, fd);
	return result;
}

/* It is four bytes in place: a reader sees one or the other. */
int record_built(const struct env *env)
{
	const u32 no = 0;
	int fd, result;

	if (env->records < 0 || !env->plan->seen[STEP_ANNOUNCE_BUILT])
		return 0;
	fd = (int)K(__NR_openat, env->records, "init", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	result = (int)K(__NR_pwrite64, fd, &no, sizeof(no), offsetof(struct init_record, building));
	K(__NR_close, fd);
	return result < 0 ? result : result == sizeof(no) ? 0 : -EIO;
}

/* What is told of a start can be told only later, when `watch` has seen it. */
int run_write_start_record(const struct step *step, struct env *env)
{
	static struct step kept;

	kept = *step;
	env->start_record = &kept;
	return 0;
}

/* Whole or not at all, as every record: whoever waits for the file reads it when it is there. */
int record_start(struct env *env)
{
	const struct start_record record = { .magic = "NUCSTRT", .version = 1, .started_ns = clock_ns(0) };
	int directory = slot(env, &env->start_record->field[0]), result;
	int fd = (int)K(__NR_openat, directory, "started.new",
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0400);

	if (fd < 0)
		return fd;
	result = write_all(fd, &record, sizeof(record));
	K(__NR_close, fd);
	return result ? result : (int)K(__NR_renameat, directory, "started.new", directory, "started");
}

/* 126: found but not executable; 127: not found; 125: Nucleus itself failed. */
int failure_code(const struct failure *failure)
{
	if (failure->opcode != STEP_EXEC || failure->detail)
		return 125;
	return failure->error == ENOENT || failure->error == ENOTDIR ? 127 : 126;
}

struct exit_record *the_exit(void)
{
	static struct exit_record record = { .magic = "NUCEXIT", .version = 1 };

	return &record;
}

void take_counters(struct env *env, struct exit_record *exit)
{
	memcpy(exit->counters, env->counters, sizeof(exit->counters));
	if (env->counters[COUNTER_OOM_KILLS])
		env->exit_flags |= EXIT_OOM;
	exit->flags |= env->exit_flags;
}

/* How it ended, as far as it is known by now. */
const struct exit_record *ended(struct env *env)
{
	take_counters(env, the_exit());
	return the_exit();
}

int run_write_exit_record(const struct step *step, struct env *env)
{
	struct exit_record *exit = the_exit();
	int directory = slot(env, &step->field[0]), fd, result;

	take_counters(env, exit);
	/* The mode tells the sweep at a glance: 0400, nothing is left to do; 0600, something could not be removed. */
	fd = (int)K(__NR_openat, directory, "exit.new", 01 | 0100 | 01000 | 02000000 | 0400000,
		    env->exit_flags & EXIT_DIRTY ? 0600 : 0400);
	if (fd < 0)
		return fd;
	result = write_all(fd, exit, sizeof(*exit));
	K(__NR_close, fd);
	/* Whole or not at all: a reader never sees half a record. */
	if (!result)
		result = (int)K(__NR_renameat, directory, "exit.new", directory, "exit");
	env->end_recorded = !result;
	return result;
}

struct directory_entry {
	u64 inode, offset;
	u16 length;
	u8 type;
	char name[];
};

static int remove_at(int directory, const char *name, unsigned depth);

/* One pass over the entries; returns how many were removed, or -errno. */
static int remove_entries(int fd, unsigned depth)
{
	u64 buffer[256];
	long size = K(__NR_getdents64, fd, buffer, sizeof(buffer));
	int removed = 0;

	for (long at = 0; at < size;) {
		const struct directory_entry *entry = (const void *)((const u8 *)buffer + at);
		int result;

		at += entry->length;
		if (text_equal(entry->name, ".") || text_equal(entry->name, ".."))
			continue;
		result = remove_at(fd, entry->name, depth);
		if (result)
			return result;
		removed++;
	}
	return size < 0 ? (int)size : removed;
}

/* Never follows a link: every directory is opened from its parent's descriptor. */
static int remove_at(int directory, const char *name, unsigned depth)
{
	int result = (int)K(__NR_unlinkat, directory, name, 0), fd;

	if (result != -EISDIR && result != -EPERM)
		return result == -ENOENT ? 0 : result;
	if (depth >= MAX_DEPTH)
		return -ELOOP;
	fd = (int)K(__NR_openat, directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	do
		result = remove_entries(fd, depth + 1);
	while (result > 0 && K(__NR_lseek, fd, 0, 0) == 0);
	K(__NR_close, fd);
	return result ? result : (int)K(__NR_unlinkat, directory, name, AT_REMOVEDIR);
}

/* Somebody waits for the exit record: a shared lock on that file says so.  What stays for him is the sweep's afterwards,
 * which the mode of the record tells it. */
static bool is_awaited(int parent, const char *id)
{
	int directory = (int)K(__NR_openat, parent, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd;
	long result;

	if (directory < 0)
		return false;
	fd = (int)K(__NR_openat, directory, "watch.lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	result = fd < 0 ? fd : K(__NR_flock, fd, 2 | 4 /* LOCK_EX | LOCK_NB */);
	if (fd >= 0)
		K(__NR_close, fd);
	if (result == -EAGAIN)
		(void)K(__NR_fchmodat, directory, "exit", 0600); /* not so told, it stays until somebody removes it by hand */
	K(__NR_close, directory);
	return result == -EAGAIN;
}

/* An empty name means the container's own directory, whose name is its id.  It stays when something else could not be
 * removed, for the sweep reads there what to look for, and while somebody waits for what is recorded there: he removes it. */
int run_remove_tree(const struct step *step, struct env *env)
{
	const char *name = step->field[1].number ? step->field[1].bytes : env->id;
	int result;

	if (!step->field[1].number &&
	    (env->exit_flags & EXIT_DIRTY || (env->end_recorded && is_awaited(slot(env, &step->field[0]), name))))
		return 0;
	result = remove_at(slot(env, &step->field[0]), name, 0);
	if (result)
		env->exit_flags |= EXIT_DIRTY;
	return result;
}

int run_report_failure(const struct step *step, struct env *env)
{
	(void)step, (void)env; /* executed by main as the very last thing */
	return 0;
}

static char *put_hex(char *at, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		u8 byte = ((const u8 *)bytes)[i];

		*at++ = "0123456789abcdef"[byte >> 4];
		*at++ = "0123456789abcdef"[byte & 15];
	}
	*at = 0;
	return at;
}

/* Replaces the monitor by the program that turns the exit record into a sentence; its exit code is the record's. */
_Noreturn void report_end(struct env *env, const struct step *step, const struct exit_record *exit)
{
	static const char *argv[16], *none[] = { NULL };
	char record[2 * sizeof(*exit) + 1], number[16], plan[16];
	const char *list = step->field[1].bytes;
	int origins = slot(env, &step->field[0]);
	unsigned n = 0;

	for (u64 at = 0; at < step->field[1].number && n < 12; at += text_length(list + at) + 1)
		argv[n++] = list + at;
	put_hex(record, exit, sizeof(*exit));
	put_number(number, number + 15, (u64)origins);
	argv[n++] = record;
	argv[n++] = number;
	put_number(plan, plan + 15, (u64)env->plan_fd);
	argv[n++] = plan;
	argv[n] = NULL;
	K(__NR_fcntl, origins, F_SETFD, 0);
	K(__NR_fcntl, env->plan_fd, F_SETFD, 0);
	for (int i = 0; i < 2; i++)
		K(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR);
	restore_slice(env);
	K(__NR_execve, argv[0], argv, none);
	sys_exit(exit->exit_code);
}
