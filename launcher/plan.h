/* The decoded form of a launch plan.  Decoding makes no system call, so that it can be fuzzed in-process. */
#ifndef NUCLEUS_PLAN_H
#define NUCLEUS_PLAN_H

#include "sys.h"

enum phase {
#define PHASE(name, value) PHASE_##name = (value),
#include "plan_steps.def"
#undef PHASE
};

enum opcode {
	STEP_NONE = 0,
#define STEP(name, number, ...) STEP_##name = (number),
#include "plan_steps.def"
#undef STEP
};

enum kind { KIND_CREATE = 1, KIND_JOIN, KIND_PREPARE, KIND_START, KINDS };
enum count { COUNT_ANY, COUNT_OPTIONAL, COUNT_REQUIRED, COUNT_NEVER };
enum check {
	CHECK_NONE, CHECK_MAX, CHECK_MASK, CHECK_ABSOLUTE, CHECK_NAME, CHECK_MULTIPLE, CHECK_LIST, CHECK_LIST_OR_EMPTY,
	CHECK_SYSCTL, CHECK_SLOT
};

#define MAX_FIELDS 7
#define MAX_PLAN_BYTES (4U << 20)
#define MAX_PLAN_STEPS 16384U
#define MAX_OPCODE 104U
#define MAX_PHASE 0x40U
#define ACTORS 4U

struct field_rule {
	char kind;
	enum check check;
	u64 limit;
};

struct step_rule {
	const char *name;
	enum phase phase;
	enum count count[KINDS];
	unsigned fields;
	struct field_rule field[MAX_FIELDS];
};

/* Rule of an opcode, or NULL for an unknown one. */
const struct step_rule *step_rule(u32 opcode);

/* A field's value: a number or slot, or bytes with their length (NUL behind the last one). */
struct value {
	u64 number;
	const char *bytes;
};

struct step {
	u32 index;
	u32 opcode;
	const struct step_rule *rule;
	struct value field[MAX_FIELDS];
};

/* From a phase's first step to behind its last one: a process reads its own part of the plan and no other's. */
struct span {
	u64 begin, end;
	u32 index; /* of the first step */
};

struct plan {
	const u8 *bytes;
	u64 size;
	enum kind kind;
	u32 steps;
	u64 where; /* on refusal: the offset of the first byte that was not understood */
	struct span spans[MAX_PHASE];
	u16 seen[MAX_OPCODE]; /* how often each step stands in the plan */
};

/* Checks everything; 0, or -errno: EBADMSG (framing), EPROTO (another version or table), E2BIG, EINVAL (a value). */
/* Of the step table: a plan that was made by another is refused. */
extern const u64 schema_hash;

int plan_check(struct plan *plan, const void *bytes, u64 size, u32 slots);

/* Walks a checked plan.  Start with cursor 0; false at the end. */
bool plan_next(const struct plan *plan, u64 *cursor, struct step *step);
/* The same, with the steps of one phase only. */
bool plan_next_of(const struct plan *plan, enum phase phase, u64 *cursor, struct step *step);

#endif
