/* Fixed-size records that leave the launcher.  Python reads them in launch/report.py and state/exit_record.py. */
#ifndef NUCLEUS_REPORT_H
#define NUCLEUS_REPORT_H

#include "sys.h"

enum actor { ACTOR_MONITOR, ACTOR_CHILD, ACTOR_WORKLOAD, ACTOR_NETWORK };

#define FAILURE_MAGIC 0x4c494146U /* "FAIL" */

struct failure {
	u32 magic;
	u16 actor, opcode;
	u32 step;
	i32 error;  /* positive errno */
	u64 detail; /* what the handler adds: an index, an exit status */
	u64 reserved;
};

enum exit_flags {
	EXIT_OOM = 1,        /* the kernel killed for memory */
	EXIT_TIMEOUT = 2,    /* --timeout ran out */
	EXIT_OWNER_LOST = 4, /* the owner died or hung up */
	EXIT_FAILED = 8,     /* a step failed: see failure */
	EXIT_DIRTY = 16,     /* something could not be removed: the sweep has to look */
	EXIT_INIT_KILLED = 32
};

enum counter { COUNTER_OOM_KILLS, COUNTER_MEMORY_PEAK, COUNTER_CPU_USEC, COUNTER_PIDS_DENIED, COUNTERS };

struct exit_record {
	char magic[8]; /* "NUCEXIT" */
	u32 version, flags;
	i32 exit_code, signal; /* what the command line returns; the signal that ended the workload, or 0 */
	u64 started_ns, finished_ns; /* CLOCK_REALTIME */
	u64 counters[COUNTERS];
	u64 user_us, system_us, max_rss_kb;
	struct failure failure;
};

struct init_record {
	char magic[8]; /* "NUCINIT" */
	u32 version;
	i32 monitor_pid, init_pid;
	u32 building; /* 1 until all of a container that waits for its start is there */
	u64 monitor_ticks, init_ticks; /* start times, clock ticks since boot */
};

struct start_record {
	char magic[8]; /* "NUCSTRT" */
	u32 version, reserved;
	u64 started_ns; /* CLOCK_REALTIME: child and workload have executed */
};

/* Messages on the control socket (SOCK_SEQPACKET), launcher → owner. */
enum message_type { MESSAGE_CREATED = 1, MESSAGE_READY = 2, MESSAGE_EXITED = 3, MESSAGE_ROOT = 4, MESSAGE_HOOKS = 5 };

struct message {
	u32 type;
	i32 pid; /* hooks: init's pid, its namespaces are there; created, it waits at the gate: init's pid in the owner's pid namespace; its pidfd travels beside it; root: the namespace */
	struct exit_record exit;
};

/* What init tells the monitor when the workload has ended. */
struct workload_end {
	i32 status; /* as wait4(2) gives it */
	u32 reserved;
	u64 user_us, system_us, max_rss_kb;
};

struct rusage;
struct workload_end end_of(i32 status, const struct rusage *usage);

#endif
