/* Steps that put directories, links, small files and secrets into the new root, and write its sysctls. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/stat.h>

#define OWNER_NONE 0xffffffffU

/* The directory that holds path, and path's last component.
 *
 * While the root holds nothing but what this process made, names can be used as they are; from the moment in which a mount
 * of others may stand on the way (env->foreign), only openat2 keeps a link there from being followed. */
static int open_parent(const struct env *env, const char *path, const char **name)
{
	char parent[4096];
	size_t slash = text_length(path);

	if (!env->foreign) {
		*name = path + 1;
		return env->root;
	}
	while (path[slash] != '/')
		slash--;
	if (slash >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, slash);
	parent[slash] = 0;
	*name = path + slash + 1;
	return open_in_root(env, slash ? parent : "/", O_PATH | O_DIRECTORY);
}

static void close_parent(const struct env *env, int parent)
{
	if (parent != env->root)
		K(__NR_close, parent);
}

static int own(int fd, const char *name, u64 uid, u64 gid, int flags)
{
	if (uid == OWNER_NONE && gid == OWNER_NONE)
		return 0;
	return (int)K(__NR_fchownat, fd, name, (u32)uid, (u32)gid, flags);
}

/* The umask is 0 in the child, so that modes are those of the plan. */
int run_make_directory(const struct step *step, struct env *env)
{
	const char *name;
	int parent = open_parent(env, step->field[0].bytes, &name), result;

	if (parent < 0)
		return parent;
	result = (int)K(__NR_mkdirat, parent, name, (u32)step->field[1].number);
	if (!result)
		result = own(parent, name, step->field[2].number, step->field[3].number, AT_SYMLINK_NOFOLLOW);
	close_parent(env, parent);
	return result == -EEXIST ? 0 : result; /* it came with the rootfs, or with a mount above it */
}

int run_make_symlink(const struct step *step, struct env *env)
{
	const char *name;
	int parent = open_parent(env, step->field[0].bytes, &name), result;

	if (parent < 0)
		return parent;
	result = (int)K(__NR_symlinkat, step->field[1].bytes, parent, name);
	close_parent(env, parent);
	return result == -EEXIST ? 0 : result;
}

/* A new file of the new root, open for writing; an existing one is refused. */
static int create_file(const struct env *env, const char *path, u64 mode)
{
	const char *name;
	int parent = open_parent(env, path, &name), fd;

	if (parent < 0)
		return parent;
	fd = (int)K(__NR_openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (u32)mode);
	close_parent(env, parent);
	return fd;
}

int run_write_file(const struct step *step, struct env *env)
{
	int fd = create_file(env, step->field[0].bytes, step->field[1].number), result;

	if (fd < 0)
		return fd;
	result = write_all(fd, step->field[2].bytes, step->field[2].number);
	K(__NR_close, fd);
	return result;
}

/* From a descriptor into a tmpfs of the sandbox; the buffer is wiped, the bytes are in no plan and no log. */
int run_write_secret(const struct step *step, struct env *env)
{
	static u8 buffer[4096];
	int source = slot(env, &step->field[0]), fd, result;
	long got;

	fd = create_file(env, step->field[1].bytes, 0600);
	if (fd < 0)
		return fd;
	for (result = 0;;) {
		got = K(__NR_read, source, buffer, sizeof(buffer)); /* a pipe is empty then */
		if (got <= 0)
			break;
		result = write_all(fd, buffer, (u64)got);
		if (result < 0)
			break;
	}
	for (volatile u8 *wipe = buffer; wipe < buffer + sizeof(buffer); wipe++)
		*wipe = 0;
	if (!result && got < 0)
		result = (int)got;
	if (!result)
		result = (int)K(__NR_fchmod, fd, (u32)step->field[2].number);
	if (!result)
		result = own(fd, "", step->field[3].number, step->field[4].number, AT_EMPTY_PATH);
	K(__NR_close, fd);
	return result;
}

int run_write_sysctl(const struct step *step, struct env *env)
{
	int fd = open_in_root(env, step->field[0].bytes, O_WRONLY), result;

	if (fd < 0)
		return fd;
	result = (int)K(__NR_write, fd, step->field[1].bytes, step->field[1].number);
	K(__NR_close, fd);
	return result < 0 ? result : 0;
}
