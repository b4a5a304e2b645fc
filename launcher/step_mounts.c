/* Steps that take mounts from the host, make new ones, and attach them below the new root.
 * Sources become detached mounts first, whole trees at a time, and get their attributes before anybody can see them. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>

/* Private: a clone of a shared mount is its peer, so that what is mounted below it inside would appear on the host. */
static int set_attributes(int fd, u64 set, u64 userns, bool recursive)
{
	struct mount_attr attr = { .attr_set = set, .propagation = MS_PRIVATE, .userns_fd = userns };

	return (int)K(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr));
}

/* device and inode, when given, are what the parent saw: another file at that path is refused. */
static int same_file(int fd, u64 device, u64 inode)
{
	struct statx seen;
	int result;

	if (!inode)
		return 0;
	result = (int)K(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_INO, &seen);
	if (result < 0)
		return result;
	if (seen.stx_ino != inode || (((u64)seen.stx_dev_major << 32) | seen.stx_dev_minor) != device)
		return -ESTALE;
	return 0;
}

int run_open_tree(const struct step *step, struct env *env)
{
	const char *path = step->field[1].bytes;
	bool recursive = step->field[2].number, exact = step->field[4].number;
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = RESOLVE_NO_MAGICLINKS | (exact ? RESOLVE_NO_SYMLINKS : 0) };
	int source, tree, result;

	source = (int)K(__NR_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (source < 0)
		return source;
	result = same_file(source, step->field[3].number, step->field[4].number);
	tree = result ? result
		      : (int)K(__NR_open_tree, source, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0));
	K(__NR_close, source);
	if (tree < 0)
		return tree;
	result = set_attributes(tree, step->field[5].number, 0, recursive);
	if (result < 0) {
		K(__NR_close, tree);
		return result;
	}
	env->mounts[step->field[0].number] = tree;
	return 0;
}

int run_map_mount(const struct step *step, struct env *env)
{
	u64 number = step->field[1].number;
	int userns, result, fd = env->mounts[step->field[0].number];

	if (fd < 0)
		return -EBADF;
	if (number < MAX_USERNS) {
		userns = env->userns[number];
	} else {
		char path[48];

		put_text(put_number(put_text(path, path + 47, "/proc/"), path + 47, (u64)env->child_pid), path + 47,
			 "/ns/user");
		userns = (int)K(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	}
	if (userns < 0)
		return userns;
	result = set_attributes(fd, MOUNT_ATTR_IDMAP, (u64)userns, false);
	if (number >= MAX_USERNS)
		K(__NR_close, userns);
	return result;
}

void close_mounts(struct env *env)
{
	for (u32 i = 0; i < MAX_MOUNTS; i++) {
		if (env->mounts[i] >= 0)
			K(__NR_close, env->mounts[i]);
		env->mounts[i] = -1;
	}
}

/* To the child; the monitor keeps none, or it would hold the host's file systems for as long as the container lives. */
int run_hand_over_mounts(const struct step *step, struct env *env)
{
	u64 count = step->field[0].number;
	int result = 0;

	for (u64 at = 0; !result && at < count; at += MOST_RIGHTS)
		result = send_letter(env->child_socket, 'H', env->mounts + at,
				     (u32)(count - at < MOST_RIGHTS ? count - at : MOST_RIGHTS));
	close_mounts(env);
	return result == -EOWNERDEAD ? 0 : result; /* the child has failed already, and its record says why */
}

/*
 * What is made in a workspace or a volume stays there: it belongs to whom the directory above belongs to, not to an id of
 * the container that its owner could not even remove. Where that cannot be, as in a directory of an unmapped owner, it stays as
 * it is: empty, and under the mount.
 */
static void own_as_above(int above, const char *name)
{
	struct statx seen;

	if (K(__NR_statx, above, "", AT_EMPTY_PATH, STATX_UID | STATX_GID, &seen) < 0 || !seen.stx_uid)
		return;
	K(__NR_fchownat, above, name, seen.stx_uid, seen.stx_gid, AT_SYMLINK_NOFOLLOW);
}

/* Creates path's last component, an empty file or a directory, in the directory above it. */
static int make_last(const struct env *env, const char *path, size_t length, bool file)
{
	char parent[4096];
	size_t slash = length - 1;
	int above, result;

	while (path[slash] != '/')
		slash--;
	memcpy(parent, path, slash);
	parent[slash] = 0;
	above = open_in_root(env, slash ? parent : "/", O_PATH | O_DIRECTORY);
	if (above < 0)
		return above;
	memcpy(parent, path + slash + 1, length - slash - 1);
	parent[length - slash - 1] = 0;
	if (file)
		result = (int)K(__NR_mknodat, above, parent, S_IFREG | 0644, 0);
	else
		result = (int)K(__NR_mkdirat, above, parent, 0755);
	if (!result)
		own_as_above(above, parent);
	K(__NR_close, above);
	return result == -EEXIST ? 0 : result;
}

/* Creates path and what is missing of the directories above it, below the new root. */
static int make_target(const struct env *env, const char *path, bool file)
{
	size_t length = text_length(path);
	int result;

	if (length >= 4096)
		return -ENAMETOOLONG;
	result = make_last(env, path, length, file);
	if (result != -ENOENT)
		return result;
	for (size_t i = 1; i < length; i++)
		if (path[i] == '/' && (result = make_last(env, path, i, false)))
			return result;
	return make_last(env, path, length, file);
}

/* Attaches a detached mount at a path of the new root, making the path where it is missing. */
static int attach(const struct env *env, int mount, const char *path, bool file)
{
	int target, result;

	if (!env->foreign) { /* nothing of others stands on the way: see open_parent in step_rootfs.c */
		result = file ? (int)K(__NR_mknodat, env->root, path + 1, S_IFREG | 0644, 0)
			      : (int)K(__NR_mkdirat, env->root, path + 1, 0755);
		if (!result || result == -EEXIST)
			return (int)K(__NR_move_mount, mount, "", env->root, path + 1, MOVE_MOUNT_F_EMPTY_PATH);
	}
	target = open_in_root(env, path, O_PATH);
	if (target == -ENOENT) {
		result = make_target(env, path, file);
		if (result < 0)
			return result;
		target = open_in_root(env, path, O_PATH);
	}
	if (target < 0)
		return target;
	result = (int)K(__NR_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	K(__NR_close, target);
	return result;
}

int run_attach_mount(const struct step *step, struct env *env)
{
	int *mount = &env->mounts[step->field[0].number], result;

	if (*mount < 0)
		return -EBADF;
	result = attach(env, *mount, step->field[1].bytes, step->field[2].number);
	K(__NR_close, *mount);
	*mount = -1;
	return result;
}

/* options: "key=value" and "flag" entries, set one by one so that no value can smuggle in another option. */
static int configure(int context, const char *options, u64 size)
{
	int result;

	for (u64 at = 0; at < size; at += text_length(options + at) + 1) {
		const char *key = options + at, *equals = key;
		char name[64];

		while (*equals && *equals != '=')
			equals++;
		if (equals - key >= (long)sizeof(name))
			return -EINVAL;
		memcpy(name, key, (size_t)(equals - key));
		name[equals - key] = 0;
		result = (int)K(__NR_fsconfig, context, *equals ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, name,
				*equals ? equals + 1 : NULL, 0);
		if (result < 0)
			return result;
	}
	return (int)K(__NR_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

/* A new file system as a detached mount. */
int new_mount(const char *type, u64 attributes, const char *options, u64 size)
{
	int context = (int)K(__NR_fsopen, type, FSOPEN_CLOEXEC), result;

	if (context < 0)
		return context;
	result = configure(context, options, size);
	if (!result)
		result = (int)K(__NR_fsmount, context, FSMOUNT_CLOEXEC, attributes);
	K(__NR_close, context);
	return result;
}

static int mount_new(const struct env *env, const char *type, const struct value *target, const struct value *attributes,
		     const struct value *options)
{
	int mount = new_mount(type, attributes->number, options->bytes, options->number), result;

	if (mount < 0)
		return mount;
	result = attach(env, mount, target->bytes, false);
	K(__NR_close, mount);
	return result;
}

int run_mount_filesystem(const struct step *step, struct env *env)
{
	return mount_new(env, step->field[0].bytes, &step->field[1], &step->field[2], &step->field[3]);
}

/* Before the switch: a user namespace may mount a proc only while it sees a whole one (mount_namespaces(7)). */
int run_mount_proc(const struct step *step, struct env *env)
{
	return mount_new(env, "proc", &step->field[0], &step->field[1], &step->field[2]);
}

/* Puts a clone of the mount at `from` over the path behind `target`. */
int cover(int from, int target, u64 attributes)
{
	int tree = (int)K(__NR_open_tree, from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	int result = tree < 0 ? tree : 0;

	if (!result && attributes)
		result = set_attributes(tree, attributes, 0, true);
	if (!result)
		result = (int)K(__NR_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (tree >= 0)
		K(__NR_close, tree);
	return result;
}

/* The sandbox's /dev/null, which is mounted read-only, over the file; a file that this kernel does not have needs none. */
int run_mask_file(const struct step *step, struct env *env)
{
	int target = open_in_root(env, step->field[0].bytes, O_PATH), result;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	if (env->null < 0)
		env->null = open_in_root(env, "/dev/null", O_PATH);
	result = env->null < 0 ? env->null : cover(env->null, target, 0);
	K(__NR_close, target);
	return result;
}

/* What is mounted over itself can be neither removed nor renamed; a link too, which is mounted as the link that it is. */
int run_protect_path(const struct step *step, struct env *env)
{
	bool link = step->field[2].number;
	int target = open_in_root(env, step->field[0].bytes, O_PATH | (link ? O_NOFOLLOW : 0)), result;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	result = cover(target, target, step->field[1].number);
	K(__NR_close, target);
	return result;
}

/* The mount at path itself, in place: for what had to be writable while it was being set up. */
int run_seal_mount(const struct step *step, struct env *env)
{
	int target = open_in_root(env, step->field[0].bytes, O_PATH), result;

	if (target < 0)
		return target;
	result = set_attributes(target, step->field[1].number, 0, false);
	K(__NR_close, target);
	return result;
}

int run_mask_directory(const struct step *step, struct env *env)
{
	static const char options[] = "size=0\0nr_inodes=2\0mode=0555";
	int target = open_in_root(env, step->field[0].bytes, O_PATH), mount, result;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	K(__NR_close, target);
	mount = new_mount("tmpfs", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, options,
			  sizeof(options));
	if (mount < 0)
		return mount;
	result = attach(env, mount, step->field[0].bytes, false);
	K(__NR_close, mount);
	return result;
}

static const char *append_decimal(char *buffer, size_t size, const char *key, u64 number)
{
	put_number(put_text(buffer, buffer + size - 1, key), buffer + size - 1, number);
	return buffer;
}

int run_make_root(const struct step *step, struct env *env)
{
	char size[40], inodes[40], mode[9] = "mode=";
	const char *entries[] = { append_decimal(size, sizeof(size), "size=", step->field[0].number),
				  append_decimal(inodes, sizeof(inodes), "nr_inodes=", step->field[1].number), mode };
	char options[96], *at = options;
	struct mount_attr private = { .propagation = MS_PRIVATE };
	int result;

	mode[5] = (char)('0' + (step->field[2].number >> 6 & 7));
	mode[6] = (char)('0' + (step->field[2].number >> 3 & 7));
	mode[7] = (char)('0' + (step->field[2].number & 7));
	mode[8] = 0;
	for (unsigned i = 0; i < 3; i++)
		at = put_text(at, options + 94, entries[i]) + 1;
	/* Nothing mounted from here on may reach the host, and nothing of the host's may arrive. */
	result = (int)K(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private));
	if (result < 0)
		return result;
	K(__NR_umask, 0);
	env->root = new_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, options, (u64)(at - options));
	if (env->root < 0)
		return env->root;
	/* Above "/": absolute paths of this process still start at the mount below it, so no source gets hidden. */
	return (int)K(__NR_move_mount, env->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
}

/* The sandbox's own /dev will have it later: spawn-workload has to know before. */
void look_for_terminal(struct env *env)
{
	int terminal = (int)K(__NR_openat, AT_FDCWD, "/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	env->terminal = terminal >= 0;
	if (terminal >= 0)
		K(__NR_close, terminal);
}

int run_pivot_root(const struct step *step, struct env *env)
{
	int result;

	(void)step; /* the step has no fields */
	look_for_terminal(env);
	result = (int)K(__NR_fchdir, env->root);
	/* The old root then lies on the new one; the workload's process detaches it (detach-host). */
	return result ? result : (int)K(__NR_pivot_root, ".", ".");
}

int run_seal_root(const struct step *step, struct env *env)
{
	struct mount_attr attr = { .attr_set = step->field[0].number };

	return (int)K(__NR_mount_setattr, env->root, "", AT_EMPTY_PATH, &attr, sizeof(attr));
}
