/* PID 1: confine itself, open the workload's gate, reap, report the workload's end.  ✗ threads, plan, files. */
#include "init.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/seccomp.h>

#include "report.h"
#include "sys.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Whoever takes over init gets these calls and no other. */
static int confine(void)
{
	static const struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4 /* arch */),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0 /* number */),
		ALLOW(__NR_wait4),
		ALLOW(__NR_sendto),
		ALLOW(__NR_write),
		ALLOW(__NR_close),
		ALLOW(__NR_exit_group),
		ALLOW(__NR_rt_sigreturn),
		ALLOW(__NR_restart_syscall),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter),
					    .filter = (struct sock_filter *)(uintptr_t)filter };

	return (int)K(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

struct workload_end end_of(i32 status, const struct rusage *usage)
{
	return (struct workload_end){
		.status = status,
		.user_us = (u64)usage->ru_utime.tv_sec * 1000000U + (u64)usage->ru_utime.tv_usec,
		.system_us = (u64)usage->ru_stime.tv_sec * 1000000U + (u64)usage->ru_stime.tv_usec,
		.max_rss_kb = (u64)usage->ru_maxrss,
	};
}

_Noreturn void init_main(int socket, int gate)
{
	const u64 all = ~0ULL;
	struct workload_end end = { 0 };
	struct rusage usage;
	long pid;

	/* Not dumpable: no ptrace, no /proc/1/{mem,fd,environ} for anybody inside.  The caller has set no_new_privs. */
	if (K(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || K(__NR_prctl, PR_SET_NAME, "nucleus-init", 0, 0, 0) < 0)
		sys_exit(125);
	K(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, NULL, sizeof(all));
	if (confine() < 0)
		sys_exit(125);
	/* Who made the network has done its work; it is gone, as where nobody made one, before anything is executed. */
	while (K(__NR_wait4, NETWORK_PID, NULL, 0, NULL) == -EINTR)
		;
	if (K(__NR_write, gate, "i", 1) != 1)
		sys_exit(125);
	K(__NR_close, gate);
	do /* orphans come later, and have other numbers */
		pid = K(__NR_wait4, -1, &end.status, 0, &usage);
	while (pid != WORKLOAD_PID && (pid > 0 || pid == -EINTR));
	if (pid < 0)
		sys_exit(125);
	end = end_of(end.status, &usage);
	K(__NR_sendto, socket, &end, sizeof(end), 0x4000 /* MSG_NOSIGNAL */, NULL, 0);
	sys_exit(0);
}
