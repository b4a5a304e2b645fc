/* Calls of a process that is traced, and of all that come from it: what its filter allows stops here, and goes on.
 *
 * By ptrace(2), as strace does it, not by the filter's listener: there a signal that comes before a call is taken breaks it
 * off with EINTR, also one that never fails so, such as close or clone, and no program expects that of those.  Here a signal
 * waits for the call.  When this process ends, however it does, the kernel kills all that it traces (EXITKILL). */
#include "trace.h"

#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/signal.h>
#include <linux/uio.h>
#include <linux/wait.h>

#define OPTIONS (PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

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
	registers[0] = (u64)-(i64)error;
	(void)K(__NR_ptrace, PTRACE_SETREGSET, thread, NT_PRSTATUS, &all);
}
#endif

/* Who is stopped keeps its number, and its arguments: they are in its registers. */
static void stopped_at_call(u32 thread)
{
	struct ptrace_syscall_info told = { 0 };
	struct seccomp_data data = { 0 };
	u32 answer = ANSWER_KILL;
	int pidfd;

	if (K(__NR_ptrace, PTRACE_GET_SYSCALL_INFO, thread, sizeof(told), &told) < 0)
		return; /* it was killed */
	if (told.op == PTRACE_SYSCALL_INFO_SECCOMP) {
		data.nr = (i32)told.seccomp.nr;
		data.arch = told.arch;
		memcpy(data.args, told.seccomp.args, sizeof(data.args));
		answer = told.seccomp.ret_data & SECCOMP_RET_DATA;
	}
	if (note_call(thread, &data, answer) && answer == ANSWER_ALLOW)
		return;
	refuse(thread, answer <= MAX_ANSWER_ERRNO ? answer : EPERM);
	if (answer != ANSWER_ALLOW && answer > MAX_ANSWER_ERRNO) {
		pidfd = open_process(thread);
		(void)K(__NR_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		K(__NR_close, pidfd);
	}
}

static bool stops(u32 signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* Until the last of them has ended. */
void serve_attached(void)
{
	for (;;) {
		i32 status = 0;
		long thread = K(__NR_wait4, -1, &status, __WALL, NULL);
		u32 event = (u32)status >> 16, signal = (u32)status >> 8 & 0xff;

		if (thread == -EINTR)
			continue;
		if (thread < 0)
			return;
		if ((status & 0xff) != 0x7f)
			continue; /* it has ended */
		if (event == PTRACE_EVENT_STOP && stops(signal)) {
			(void)K(__NR_ptrace, PTRACE_LISTEN, thread, 0, 0); /* until it is continued as any other */
			continue;
		}
		if (event == PTRACE_EVENT_SECCOMP)
			stopped_at_call((u32)thread);
		(void)K(__NR_ptrace, PTRACE_CONT, thread, 0, event ? 0 : signal);
	}
}
