/* Steps that put directories, links, small files and secrets into the new root, and write its sysctls. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/stat.h>

#define OWNER_NONE 0xffffffffU

/* The directory that holds path, and path's last component. */
static int open_parent(const struct env *env, const char *path, const char **name)
{
	char parent[4096];
	size_t slash = text_length(path);

	while (path[slash] != '/')
		slash--;
	if (slash >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, slash);
	parent[slash] = 0;
	*name = path + slash + 1;
	return open_in_root(env, slash ? parent : "/", O_PATH | O_DIRECTORY);
}

static int own(int fd, const char *name, u64 uid, u64 gid, int flags)
{
	if (uid == OWNER_NONE && gid == OWNER_NONE)
		return 0;
	return (int)K(__NR_fchownat, fd, name, (u32)uid, (u32)gid, flags);
}

int run_make_directory(const struct step *step, struct env *env)
{
	const char *name;
	int parent = open_parent(env, step->field[0].bytes, &name), result;

	if (parent < 0)
		return parent;
	result = (int)K(__NR_mkdirat, parent, name, (u32)step->field[1].number);
	if (result == -EEXIST) { /* it came with the rootfs, or with a mount above it */
		K(__NR_close, parent);
		return 0;
	}
	if (!result) /* the umask is not ours to trust */
		result = (int)K(__NR_fchmodat, parent, name, (u32)step->field[1].number);
	if (!result)
		result = own(parent, name, step->field[2].number, step->field[3].number, AT_SYMLINK_NOFOLLOW);
	K(__NR_close, parent);
	return result;
}

int run_make_symlink(const struct step *step, struct env *env)
{
	const char *name;
	int parent = open_parent(env, step->field[0].bytes, &name), result;

	if (parent < 0)
		return parent;
	result = (int)K(__NR_symlinkat, step->field[1].bytes, parent, name);
	K(__NR_close, parent);
	return result == -EEXIST ? 0 : result;
}

/* A new file of the new root, open for writing; an existing one is refused. */
static int create_file(const struct env *env, const char *path, u64 mode)
{
	const char *name;
	int parent = open_parent(env, path, &name), fd, result;

	if (parent < 0)
		return parent;
	fd = (int)K(__NR_openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (u32)mode);
	K(__NR_close, parent);
	if (fd < 0)
		return fd;
	result = (int)K(__NR_fchmod, fd, (u32)mode);
	if (result < 0) {
		K(__NR_close, fd);
		return result;
	}
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
	u64 offset = 0;
	long got;

	fd = create_file(env, step->field[1].bytes, 0600);
	if (fd < 0)
		return fd;
	for (result = 0;;) {
		got = K(__NR_pread64, source, buffer, sizeof(buffer), offset);
		if (got <= 0)
			break;
		result = write_all(fd, buffer, (u64)got);
		if (result < 0)
			break;
		offset += (u64)got;
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
