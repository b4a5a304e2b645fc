/* Steps of a prepared root: it is made once, in a mount namespace of its own, and many containers start in it.
 *
 * A child with a user namespace of its own gets a copy of that namespace when it is cloned.  All mounts of the copy are
 * locked (mount_namespaces(7)): not even CAP_SYS_ADMIN inside may unmount one, or make it writable.  The namespace lives
 * as long as somebody has its descriptor, and nobody is in it for longer than a clone takes. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/signal.h>

#define UNCHANGED 0xffffffffU /* setfsuid(2): an id that nobody has changes nothing, and the present one is returned */

/* A user namespace may mount a proc only where it sees a whole one.  That of a pid namespace whose only process has ended
 * shows no process, and what else is in it the container's own shows too. */
static int mount_empty_proc(int base)
{
	struct clone_args args = { .flags = CLONE_NEWPID, .exit_signal = SIGCHLD };
	int status = 0;
	long pid = K(__NR_clone3, &args, sizeof(args)), ended;

	if (!pid) {
		int mount = new_mount("proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, 0), result;

		result = mount < 0 ? mount : (int)K(__NR_move_mount, mount, "", base, "proc", MOVE_MOUNT_F_EMPTY_PATH);
		sys_exit(-result);
	}
	if (pid < 0)
		return (int)pid;
	do
		ended = K(__NR_wait4, pid, &status, 0, NULL);
	while (ended == -EINTR);
	if (ended < 0)
		return (int)ended;
	return status & 0x7f ? -ECHILD : -(status >> 8 & 0xff);
}

/* The host's tree is left behind at once: what is built afterwards can reach nothing of it but what was taken before. */
int run_make_namespace(const struct step *step, struct env *env)
{
	static const char options[] = "size=4096\0nr_inodes=4\0mode=0555";
	const struct mount_attr private = { .propagation = MS_PRIVATE }, sealed = { .attr_set = MOUNT_ATTR_RDONLY };
	int base, result;

	(void)step; /* the step has no fields */
	env->proc = (int)K(__NR_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (env->proc < 0)
		return env->proc;
	result = (int)K(__NR_unshare, CLONE_NEWNS);
	if (!result)
		result = (int)K(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private));
	if (result < 0)
		return result;
	base = new_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, options, sizeof(options));
	if (base < 0)
		return base;
	result = (int)K(__NR_move_mount, base, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
	if (!result)
		result = (int)K(__NR_mkdirat, base, "proc", 0555);
	if (!result)
		result = mount_empty_proc(base);
	if (!result)
		result = (int)K(__NR_mount_setattr, base, "", AT_EMPTY_PATH, &sealed, sizeof(sealed));
	if (!result)
		result = (int)K(__NR_fchdir, base);
	if (!result)
		result = (int)K(__NR_pivot_root, ".", ".");
	if (!result)
		result = (int)K(__NR_umount2, ".", 2 /* MNT_DETACH */);
	K(__NR_close, base);
	env->foreign = true;
	return result;
}

/* From here on every file is made for the containers' uid 0: as if one of them had made it. */
int run_set_file_owner(const struct step *step, struct env *env)
{
	u32 uid = (u32)step->field[0].number, gid = (u32)step->field[1].number;
	long now;

	(void)env; /* only the process changes */
	K(__NR_setfsgid, gid);
	K(__NR_setfsuid, uid);
	/* Neither call tells whether it did what it was asked for. */
	now = K(__NR_setfsgid, UNCHANGED);
	if (now != gid)
		return now < 0 ? (int)now : -EPERM;
	now = K(__NR_setfsuid, UNCHANGED);
	if (now != uid)
		return now < 0 ? (int)now : -EPERM;
	return 0;
}

/* The superblock belongs to the initial user namespace: no container can undo it, whatever becomes of its mounts. */
int run_freeze_root(const struct step *step, struct env *env)
{
	int context = (int)K(__NR_fspick, env->root, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH), result;

	(void)step; /* the step has no fields */
	if (context < 0)
		return context;
	result = (int)K(__NR_fsconfig, context, FSCONFIG_SET_FLAG, "ro", NULL, 0);
	if (!result)
		result = (int)K(__NR_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	K(__NR_close, context);
	return result;
}

int run_hand_over_root(const struct step *step, struct env *env)
{
	const struct message root = { .type = MESSAGE_ROOT };
	int fds[2] = { (int)K(__NR_openat, env->proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC), env->devices }, result;

	(void)step; /* the step has no fields */
	if (fds[0] < 0)
		return fds[0];
	result = send_record(env->control, &root, sizeof(root), fds, fds[1] < 0 ? 1 : 2);
	K(__NR_close, fds[0]);
	if (fds[1] >= 0)
		K(__NR_close, fds[1]);
	return result;
}

/* Enters the prepared root for as long as the clone takes, and comes back to where the caller was, chroot(2) included. */
int run_spawn_in_root(const struct step *step, struct env *env)
{
	int root = (int)K(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC), result, back;

	if (root < 0)
		return root;
	env->host = (int)K(__NR_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	result = env->host < 0 ? env->host : (int)K(__NR_setns, slot(env, &step->field[2]), CLONE_NEWNS);
	if (!result) {
		/* The child gets a copy of the namespace, and no way back to the original. */
		K(__NR_close, slot(env, &step->field[2]));
		env->slots[step->field[2].number] = -1;
		env->host_root = root;
		result = run_spawn(step, env);
		back = (int)K(__NR_setns, env->host, CLONE_NEWNS);
		if (!back)
			back = (int)K(__NR_fchdir, root);
		if (!back)
			back = (int)K(__NR_chroot, ".");
		if (!result)
			result = back;
	}
	if (env->host >= 0)
		K(__NR_close, env->host);
	K(__NR_close, root);
	env->host = env->host_root = -1;
	return result;
}

int run_adopt_root(const struct step *step, struct env *env)
{
	(void)step; /* the step has no fields */
	look_for_terminal(env);
	K(__NR_umask, 0);
	env->foreign = true;
	env->root = (int)K(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return env->root < 0 ? env->root : 0;
}

/* The prepared root is the same for all: a file that differs lies in a file system of the container.  It loses its name
 * once it is mounted, and not before: what has no name cannot be mounted. */
int run_cover_file(const struct step *step, struct env *env)
{
	static const char name[] = "cover";
	int above = open_in_root(env, step->field[3].bytes, O_PATH | O_DIRECTORY), file, target, result;

	if (above < 0)
		return above;
	file = (int)K(__NR_openat, above, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      (u32)step->field[1].number);
	if (file < 0) {
		K(__NR_close, above);
		return file;
	}
	result = write_all(file, step->field[2].bytes, step->field[2].number);
	target = result ? result : open_in_root(env, step->field[0].bytes, O_PATH);
	if (target >= 0) {
		result = cover(file, target, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		K(__NR_close, target);
	} else {
		result = target;
	}
	if (!result)
		result = (int)K(__NR_unlinkat, above, name, 0);
	K(__NR_close, file);
	K(__NR_close, above);
	return result;
}
