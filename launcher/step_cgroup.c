/* Steps on cgroups, v1 and v2 alike: create, write, restrict devices, enter, read counters, remove.  ✗ which file means what: Python knows. */
#include "launch.h"

#include <linux/bpf.h>
#include <linux/fcntl.h>
#include <linux/sched.h>
#include <linux/time.h>

/* What bpf(2) is asked for: the first members of its union, the rest of which is 0 for the kernel. */
struct load_attr {
	u32 type, count;
	u64 instructions, license;
};

struct attach_attr {
	u32 target, program, type, flags;
};

/* The directory's name below its parent: "nucleus-<id>". */
static void cgroup_name(const struct env *env, char name[80])
{
	put_text(put_text(name, name + 79, "nucleus-"), name + 79, env->id);
}

/* Opened by the monitor, written by the child: permission is that of the opener (cgroups(7)). */
static int open_tasks(struct cgroup *group)
{
	group->tasks = (int)K(__NR_openat, group->directory, "tasks", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	return group->tasks < 0 ? group->tasks : 0;
}

int run_create_cgroup(const struct step *step, struct env *env)
{
	struct cgroup *group = &env->cgroups[step->field[0].number];
	char name[80];
	int result;

	group->parent = slot(env, &step->field[1]);
	group->version = (u8)step->field[2].number;
	group->tasks = -1;
	cgroup_name(env, name);
	result = (int)K(__NR_mkdirat, group->parent, name, 0755);
	if (result < 0)
		return result;
	group->created = true;
	group->directory = (int)K(__NR_openat, group->parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (group->directory < 0)
		return group->directory;
	return group->version == 1 ? open_tasks(group) : 0;
}

int run_set_cgroup(const struct step *step, struct env *env)
{
	const struct cgroup *group = &env->cgroups[step->field[0].number];

	if (!group->created)
		return -EBADF;
	return write_file_at(group->directory, step->field[1].bytes, step->field[2].bytes, step->field[2].number);
}

/* The program goes with the cgroup: no descriptor of it is left, and nobody inside could detach it.  Beside those of cgroups
 * above (BPF_F_ALLOW_MULTI): what one of them refuses is refused. */
static int attach_program(const struct cgroup *group, int program)
{
	const struct attach_attr attach = { (u32)group->directory, (u32)program, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI };

	if (!group->created || group->version != 2)
		return -EBADF;
	return (int)K(__NR_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach));
}

static int load_program(const struct value *bytes)
{
	const struct load_attr load = { BPF_PROG_TYPE_CGROUP_DEVICE, (u32)(bytes->number / 8), (uintptr_t)bytes->bytes,
					(uintptr_t)"Apache-2.0" };

	return (int)K(__NR_bpf, BPF_PROG_LOAD, &load, sizeof(load));
}

int run_restrict_devices(const struct step *step, struct env *env)
{
	int program = load_program(&step->field[1]), result;

	if (program < 0)
		return program;
	result = attach_program(&env->cgroups[step->field[0].number], program);
	K(__NR_close, program);
	return result;
}

/* Checking it takes the kernel as long as making a process: what starts in a prepared root finds it loaded. */
int run_load_devices(const struct step *step, struct env *env)
{
	env->devices = load_program(&step->field[0]);
	return env->devices < 0 ? env->devices : 0;
}

int run_attach_devices(const struct step *step, struct env *env)
{
	int *program = &env->slots[step->field[1].number], result;

	result = attach_program(&env->cgroups[step->field[0].number], *program);
	K(__NR_close, *program);
	*program = -1;
	return result;
}

/* "0" to tasks moves the calling, single-threaded process without the global lock that another pid would take. */
int run_enter_cgroup(const struct step *step, struct env *env)
{
	struct cgroup *group = &env->cgroups[step->field[0].number];
	int result;

	if (!group->created || group->version != 1)
		return -EBADF;
	result = write_all(group->tasks, "0", 1);
	K(__NR_close, group->tasks);
	group->tasks = -1;
	return result;
}

/* That of a running container.  On v2 `spawn` places the child there; on v1 the child enters by itself. */
int run_join_cgroup(const struct step *step, struct env *env)
{
	struct cgroup *group = &env->cgroups[step->field[0].number];

	group->directory = slot(env, &step->field[1]);
	group->version = (u8)step->field[2].number;
	group->tasks = -1;
	group->created = true; /* there is one; no step of a join removes it */
	return group->version == 1 ? open_tasks(group) : 0;
}

int run_unshare_cgroup(const struct step *step, struct env *env)
{
	(void)step, (void)env; /* the step has no fields */
	return (int)K(__NR_unshare, CLONE_NEWCGROUP);
}

/* A number file, or the line of a flat-keyed one whose key matches. */
static bool find_counter(char *text, const char *key, u64 *value)
{
	size_t length = text_length(key);

	for (char *line = text; *line;) {
		char *end = line, *next;

		while (*end && *end != '\n')
			end++;
		next = *end ? end + 1 : end;
		*end = 0;
		if (!length)
			return parse_number(line, value);
		if (starts_with(line, key) && line[length] == ' ')
			return parse_number(line + length + 1, value);
		line = next;
	}
	return false;
}

int run_read_counter(const struct step *step, struct env *env)
{
	const struct cgroup *group = &env->cgroups[step->field[0].number];
	char text[2048];
	u64 value;
	long size;
	int fd;

	if (!group->created)
		return 0; /* the launch failed before: nothing was counted */
	fd = (int)K(__NR_openat, group->directory, step->field[1].bytes, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -ENOENT)
		return 0; /* memory.peak came with Linux 5.19: an absent counter reads 0 */
	if (fd < 0)
		return fd;
	size = K(__NR_read, fd, text, sizeof(text) - 1);
	K(__NR_close, fd);
	if (size < 0)
		return (int)size;
	text[size] = 0;
	if (find_counter(text, step->field[2].bytes, &value))
		env->counters[step->field[3].number] += value;
	return 0;
}

int run_remove_cgroup(const struct step *step, struct env *env)
{
	struct cgroup *group = &env->cgroups[step->field[0].number];
	char name[80];
	int result = 0;

	if (!group->created)
		return 0;
	cgroup_name(env, name);
	/* A dying task keeps its cgroup for a moment: try for up to a second. */
	for (unsigned try = 0; try < 500; try++) {
		const struct __kernel_timespec pause = { .tv_sec = 0, .tv_nsec = 2000000 };

		result = (int)K(__NR_unlinkat, group->parent, name, AT_REMOVEDIR);
		if (result != -EBUSY)
			break;
		if (group->version == 2 && !try) /* nothing is left inside once init is gone; this is for what a fault left */
			(void)write_file_at(group->directory, "cgroup.kill", "1", 1); /* absent before Linux 5.14 */
		K(__NR_nanosleep, &pause, NULL);
	}
	if (result == -ENOENT)
		result = 0;
	if (!result)
		group->created = false;
	else
		env->exit_flags |= EXIT_DIRTY;
	return result;
}
