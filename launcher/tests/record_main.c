/* The recording seam's entry and its way of writing: names of calls, the texts among their arguments, failures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sys_record.h"

int program(int argc, char **argv, char **environment, const u64 *auxiliary);

/* The image of init is linked into the real launcher only. */
__asm__(".globl init_image, init_image_end\n.data\ninit_image: .ascii \"image\"\ninit_image_end: .text\n");

/* Name of a call, and which argument is text (-1: none). */
static const struct { long number; const char *name; int text; } calls[] = {
#define CALL(name, text) { __NR_##name, #name, text }
	CALL(bpf, -1), CALL(capget, -1), CALL(capset, -1), CALL(chdir, 0), CALL(chroot, 0), CALL(clock_gettime, -1), CALL(clone, -1),
	CALL(clone3, -1),
	CALL(close, -1), CALL(close_range, -1), CALL(dup3, -1), CALL(execve, 0), CALL(execveat, -1), CALL(fchdir, -1),
	CALL(fchmod, -1), CALL(fchmodat, 1), CALL(fchownat, 1), CALL(fcntl, -1), CALL(flock, -1), CALL(fsconfig, 2), CALL(fsmount, -1), CALL(fsopen, 0),
	CALL(fspick, 1), CALL(getdents64, -1), CALL(getpgid, -1), CALL(getpid, -1), CALL(ioctl, -1), CALL(keyctl, -1), CALL(kill, -1), CALL(landlock_add_rule, -1),
	CALL(landlock_create_ruleset, -1), CALL(landlock_restrict_self, -1), CALL(lseek, -1), CALL(memfd_create, 0),
	CALL(mkdirat, 1), CALL(mknodat, 1), CALL(mmap, -1), CALL(mount_setattr, 1), CALL(move_mount, 3),
	CALL(nanosleep, -1), CALL(open_tree, 1), CALL(openat, 1), CALL(openat2, 1), CALL(pidfd_send_signal, -1),
	CALL(pipe2, -1), CALL(pivot_root, 0), CALL(ppoll, -1), CALL(prctl, -1), CALL(pread64, -1), CALL(prlimit64, -1),
	CALL(read, -1), CALL(recvfrom, -1), CALL(recvmsg, -1), CALL(renameat, 1), CALL(rt_sigaction, -1),
	CALL(rt_sigprocmask, -1), CALL(sched_getattr, -1), CALL(sched_setattr, -1), CALL(seccomp, -1), CALL(sendmsg, -1), CALL(sendto, -1), CALL(setfsgid, -1),
	CALL(setfsuid, -1), CALL(setgroups, -1), CALL(sethostname, 0), CALL(setns, -1),
	CALL(setpgid, -1), CALL(setresgid, -1), CALL(setresuid, -1), CALL(setsid, -1), CALL(shutdown, -1),
	CALL(signalfd4, -1),
	CALL(socket, -1), CALL(socketpair, -1), CALL(statx, 1), CALL(symlinkat, 2), CALL(umask, -1), CALL(umount2, 0),
	CALL(unlinkat, 1), CALL(unshare, -1), CALL(wait4, -1), CALL(write, -1),
};

void record_call(unsigned long call, long number, const long *arguments, long result)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].number == number) {
			const char *text = calls[i].text < 0 ? NULL : (const char *)arguments[calls[i].text];

			printf("call %lu %s %ld %s\n", call, calls[i].name, result, text ? text : "-");
			return;
		}
	printf("call %lu unknown-%ld %ld -\n", call, number, result);
}

void record_failure(const void *bytes, u64 size)
{
	struct failure failure;

	if (size == sizeof(struct exit_record))
		memcpy(&failure, &((const struct exit_record *)bytes)->failure, sizeof(failure));
	else if (size == sizeof(failure))
		memcpy(&failure, bytes, sizeof(failure));
	else
		return;
	if (failure.magic == FAILURE_MAGIC)
		printf("failure %u %u %u %d\n", failure.actor, failure.opcode, failure.step, failure.error);
}

void record_message(const struct recorded_message *message)
{
	struct message told;

	if (message->parts->length != sizeof(told))
		return;
	memcpy(&told, message->parts->base, sizeof(told));
	printf("message %u\n", told.type);
	if (told.type == MESSAGE_EXITED)
		record_failure(&told.exit, sizeof(told.exit));
}

static void read_plan_file(const char *path)
{
	static u8 bytes[MAX_PLAN_BYTES];
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		exit(2);
	}
	world.plan_size = fread(bytes, 1, sizeof(bytes), file);
	world.plan = bytes;
	fclose(file);
}

int main(int argc, char **argv)
{
	static char numbers[MAX_SLOTS][16];
	char *arguments[4 + MAX_SLOTS + 1] = { "nucleus-launch", "3", "4", "abc123" }, *none[] = { NULL };
	const u64 auxiliary[2] = { 0, 0 };
	int slots;

	if (argc < 4)
		return 2;
	read_plan_file(argv[1]);
	slots = atoi(argv[2]);
	world.role = argv[3];
	world.fail_at = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	world.fail_with = argc > 5 ? atol(argv[5]) : 0;
	world.every = argc > 6;
	for (int i = 0; i < slots && i < (int)MAX_SLOTS; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", 5 + i);
		arguments[4 + i] = numbers[i];
	}
	for (int fd = 0; fd < 5 + slots; fd++)
		world.open[fd] = true;
	sys_exit(program(4 + slots, arguments, none, auxiliary));
}
