/* What the two halves of the recording seam share: the world that is imagined, and how it is written down. */
#ifndef NUCLEUS_SYS_RECORD_H
#define NUCLEUS_SYS_RECORD_H

#include "launch.h"

#define MAX_FDS 1024
#define PLAN_FD 3

struct world {
	const char *role;
	unsigned long calls, fail_at;
	long fail_with, failed_number;
	bool every;
	const u8 *plan;
	u64 plan_size;
	const struct env *env; /* as the last step saw it */
	struct step step;
	u32 opcode;
	bool open[MAX_FDS], reported[MAX_FDS], drained[MAX_FDS];
	char name[MAX_FDS][64];
};

/* struct msghdr, as the launcher builds it. */
struct recorded_message {
	void *name;
	u64 name_length;
	struct { void *base; u64 length; } *parts;
	u64 part_count;
	void *control;
	u64 control_length, flags;
};

extern struct world world;

void record_call(unsigned long call, long number, const long *arguments, long result);
void record_failure(const void *bytes, u64 size);
void record_message(const struct recorded_message *message);
long record_answer(long number, const long *arguments);

#endif
