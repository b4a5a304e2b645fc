/* Calls of a process that is traced, and of all that come from it: what its filter allows stops here, and goes on.
 *
 * By ptrace(2), as strace does it, not by the filter's listener: there a signal that comes before a call is taken breaks it
 * off with EINTR, also one that never fails so, such as close or clone, and no program expects that of those.  Here a signal
 * waits for the call.  When this process ends, however it does, the kernel kills all that it traces (EXITKILL).
 * ✗ decides, ✗ writes the record: trace.c. */
#include "trace.h"

#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/signal.h>
#include <linux/uio.h>
#include <linux/wait.h>

#define OPTIONS                                                                                               \
	(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_EXITKILL)
#define WITHOUT_WAITING 1 /* WNOHANG */
#define MOST 64U
#define FAIR 8U

struct stopped {
	u32 thread, status;
};

long attach(u32 process)
{
	return K(__NR_ptrace, PTRACE_SEIZE, process, 0, OPTIONS);
}

/* The call is not made: a number that no call has, and what it seems to have returned. */
#if defined(__x86_64__)
#define AT_RESULT 80 /* rax of struct user_regs_struct */
#define AT_NUMBER 120 /* orig_rax */

static void refuse(u32 thread, u32 error)
{
	(void)K(__NR_ptrace, PTRACE_POKEUSR, thread, AT_NUMBER, -1L);
	(void)K(__NR_ptrace, PTRACE_POKEUSR, thread, AT_RESULT, -(long)error);
}
#else
#define NT_ARM_SYSTEM_CALL 0x404

static void refuse(u32 thread, u32 error)
{
	u64 registers[34] = { 0 }; /* struct user_pt_regs */
	i32 number = -1;
	struct iovec call = { &number, sizeof(number) }, all = { registers, sizeof(registers) };

	(void)K(__NR_ptrace, PTRACE_SETREGSET, thread, NT_ARM_SYSTEM_CALL, &call);
	if (K(__NR_ptrace, PTRACE_GETREGSET, thread, NT_PRSTATUS, &all))
		return;
	registers[0] = (u64)-(long)error;
	(void)K(__NR_ptrace, PTRACE_SETREGSET, thread, NT_PRSTATUS, &all);
}
#endif

/* Where it stops now.  One that was reported may have died since: then a thread of its process that has executed another
 * program has its number, and waits at that event, before the first call of that program. */
static bool is_at_call(u32 thread, struct seccomp_data *data)
{
	struct ptrace_syscall_info told = { 0 };

	if (K(__NR_ptrace, PTRACE_GET_SYSCALL_INFO, thread, sizeof(told), &told) < 0 || told.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return false;
	data->nr = (i32)told.seccomp.nr;
	data->arch = told.arch;
	data->instruction_pointer = told.instruction_pointer;
	memcpy(data->args, told.seccomp.args, sizeof(data->args));
	return true;
}

/* Nobody can change a call that has stopped: it is in its thread's registers. */
static void stopped_at_call(u32 thread)
{
	struct seccomp_data data = { 0 };
	u32 answer;
	int pidfd;

	if (!is_at_call(thread, &data))
		return;
	answer = answer_to(&data);
	if (note_call(thread, &data, answer) && answer == ANSWER_ALLOW)
		return;
	if (is_at_call(thread, &data))
		refuse(thread, answer <= MAX_ANSWER_ERRNO ? answer : EPERM);
	if (answer == ANSWER_KILL) {
		pidfd = open_process(thread);
		(void)K(__NR_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		K(__NR_close, pidfd);
	}
}

static bool stops(u32 signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void go_on(u32 thread, u32 status)
{
	u32 event = status >> 16, signal = status >> 8 & 0xff;

	if (event == PTRACE_EVENT_STOP && stops(signal)) {
		(void)K(__NR_ptrace, PTRACE_LISTEN, thread, 0, 0); /* until it is continued as any other */
		return;
	}
	if (event == PTRACE_EVENT_SECCOMP)
		stopped_at_call(thread);
	if (event == PTRACE_EVENT_EXEC)
		has_executed(thread);
	(void)K(__NR_ptrace, PTRACE_CONT, thread, 0, event ? 0 : signal);
}

/* Those that have stopped, up to `most`; 0 when none is left.  What is told of a number last is true of it: it may have been
 * taken over, and who had it before is dead. */
static u32 collect(struct stopped *stopped, u32 most)
{
	u32 count = 0, at;

	while (count < most) {
		i32 status = 0;
		long thread = K(__NR_wait4, -1, &status, __WALL | (count ? WITHOUT_WAITING : 0), NULL);

		if (thread == -EINTR)
			continue;
		if (thread <= 0)
			break;
		for (at = 0; at < count && stopped[at].thread != (u32)thread; at++)
			;
		if ((status & 0xff) == 0x7f) {
			stopped[at] = (struct stopped){ (u32)thread, (u32)status };
			count += at == count;
		} else if (at < count) { /* it has ended */
			stopped[at] = stopped[--count];
		}
	}
	return count;
}

/* Until the last of them has ended.  The kernel tells of the newest first: now and then all are heard before any goes on. */
void serve_attached(void)
{
	static struct stopped stopped[MOST];
	u32 count;

	for (u32 turn = 0; (count = collect(stopped, turn % FAIR ? 1 : MOST)); turn++)
		for (u32 i = 0; i < count; i++)
			go_on(stopped[i].thread, stopped[i].status);
}
