/* `nucleus-launch probe`: one line of key=value about the kernel, and which plans it takes, for host/probe.py.  Effects stay in a child. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/signal.h>

int probe(void);

/* 0 when the call exists, else the positive errno; "exists" is any answer but ENOSYS. */
static u64 present(long result)
{
	return result == -ENOSYS ? ENOSYS : 0;
}

/* errno of making a user namespace; *capable: errno of a call inside it that needs a capability there.  AppArmor lets the
 * namespace be made and takes its capabilities away. */
static u64 new_userns(u64 *capable)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWUTS, .exit_signal = SIGCHLD };
	long pid = K(__NR_clone3, &args, sizeof(args));
	int status = 0;

	if (!pid)
		sys_exit((int)-K(__NR_sethostname, "probe", 5));
	*capable = pid < 0 ? (u64)-pid : 0;
	if (pid < 0)
		return (u64)-pid;
	while (K(__NR_wait4, pid, &status, 0, NULL) == -EINTR)
		;
	*capable = (u64)(status >> 8 & 0xff);
	return 0;
}

int probe(void)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC };
	const u32 kill_process = SECCOMP_RET_KILL_PROCESS;
	u64 capable = 0, userns = new_userns(&capable);
	long abi = K(__NR_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
	char line[512], *at = line, *const end = line + sizeof(line) - 1;
	const struct { const char *key; u64 value; } found[] = {
		{ "landlock_abi=", abi < 0 ? 0 : (u64)abi },
		{ " userns=", userns },
		{ " userns_capable=", capable },
		{ " openat2=", present(K(__NR_openat2, AT_FDCWD, "/", &how, sizeof(how))) },
		{ " mount_api=", present(K(__NR_mount_setattr, -1, "", 0, NULL, 0)) },
		{ " close_range=", present(K(__NR_close_range, ~0U, ~0U, 0)) },
		{ " pidfd=", present(K(__NR_pidfd_send_signal, -1, 0, NULL, 0)) },
		{ " seccomp=", present(K(__NR_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &kill_process)) },
		{ " plan=", schema_hash },
	};

	for (unsigned i = 0; i < sizeof(found) / sizeof(*found); i++)
		at = put_number(put_text(at, end, found[i].key), end, found[i].value);
	at = put_text(at, end, "\n");
	return write_all(1, line, (u64)(at - line)) ? 1 : 0;
}
