/* bytes → steps.  The whole plan is checked before any of it is executed.  ✗ no system call, no allocation. */
#include "plan.h"

static const struct step_rule rules[MAX_OPCODE] = {
#define STEP(id, number, text, phase_, create_, join_, count_, ...) \
	[number] = { .name = (text), .phase = (phase_), .create = (create_), .join = (join_), .fields = (count_), \
		     .field = { __VA_ARGS__ } },
#include "plan_steps.def"
#undef STEP
};

#define SCHEMA_HASH_LINE(value) static const u64 schema_hash = (value);
#include "plan_steps.def"
#undef SCHEMA_HASH_LINE

#define HEADER_BYTES 32U
#define STEP_BYTES 8U
#define PLAN_VERSION 1U

const struct step_rule *step_rule(u32 opcode)
{
	return opcode < MAX_OPCODE && rules[opcode].name ? &rules[opcode] : NULL;
}

static u64 load(const u8 *at, unsigned bytes)
{
	u64 value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (u64)at[i] << (8 * i);
	return value;
}

/* Absolute, no empty, "." or ".." component; "/" alone is a path. */
static bool absolute_path(const char *text)
{
	if (text[0] != '/')
		return false;
	if (!text[1])
		return true;
	while (*text) {
		const char *part = ++text;

		while (*text && *text != '/')
			text++;
		if (text == part || (text - part == 1 && part[0] == '.') ||
		    (text - part == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	return true;
}

static bool component(const char *text, u64 length)
{
	if (!length || length > 255 || text_equal(text, ".") || text_equal(text, ".."))
		return false;
	for (; *text; text++)
		if (*text == '/')
			return false;
	return true;
}

static bool value_allowed(const struct field_rule *rule, const struct value *value, u32 slots)
{
	switch (rule->check) {
	case CHECK_NONE:
		return true;
	case CHECK_MAX:
		return value->number <= rule->limit;
	case CHECK_MASK:
		return !(value->number & ~rule->limit);
	case CHECK_ABSOLUTE:
		return absolute_path(value->bytes);
	case CHECK_SYSCTL:
		return absolute_path(value->bytes) && starts_with(value->bytes, "/proc/sys/");
	case CHECK_NAME:
		return component(value->bytes, value->number);
	case CHECK_MULTIPLE:
		return value->number % rule->limit == 0;
	case CHECK_LIST:
		return value->number && !value->bytes[value->number - 1];
	case CHECK_LIST_OR_EMPTY:
		return !value->number || !value->bytes[value->number - 1];
	case CHECK_SLOT:
		return value->number < slots;
	}
	return false;
}

/* One field at *at, which is advanced; false when it does not fit before end or is not canonical. */
static bool decode_field(char kind, const u8 **at, const u8 *end, struct value *value)
{
	u64 left = (u64)(end - *at), padded;

	if (left < 8)
		return false;
	value->number = load(*at, 8);
	value->bytes = NULL;
	*at += 8, left -= 8;
	if (kind == 'n' || kind == 'f')
		return true;
	if (value->number >= left) /* at least one NUL follows */
		return false;
	padded = value->number + 8 - value->number % 8;
	if (padded > left)
		return false;
	value->bytes = (const char *)*at;
	for (u64 i = value->number; i < padded; i++)
		if ((*at)[i])
			return false;
	if (kind == 's')
		for (u64 i = 0; i < value->number; i++)
			if (!(*at)[i])
				return false;
	*at += padded;
	return true;
}

static int decode_step(const struct plan *plan, u64 *cursor, struct step *step)
{
	const u8 *at = plan->bytes + *cursor, *end = plan->bytes + plan->size;
	u64 body;

	if ((u64)(end - at) < STEP_BYTES)
		return -EBADMSG;
	step->opcode = (u32)load(at, 2);
	step->rule = step_rule(step->opcode);
	body = load(at + 4, 4);
	if (!step->rule || load(at + 2, 2))
		return -EPROTO;
	at += STEP_BYTES;
	if (body > (u64)(end - at))
		return -EBADMSG;
	end = at + body;
	for (unsigned i = 0; i < step->rule->fields; i++)
		if (!decode_field(step->rule->field[i].kind, &at, end, &step->field[i]))
			return -EBADMSG;
	if (at != end)
		return -EBADMSG;
	*cursor = (u64)(end - plan->bytes);
	return 0;
}

static int check_counts(const struct plan *plan, const u16 *seen)
{
	for (u32 opcode = 0; opcode < MAX_OPCODE; opcode++) {
		enum count allowed;

		if (!rules[opcode].name)
			continue;
		allowed = plan->kind == KIND_CREATE ? rules[opcode].create : rules[opcode].join;
		if ((allowed == COUNT_REQUIRED && seen[opcode] != 1) || (allowed == COUNT_OPTIONAL && seen[opcode] > 1) ||
		    (allowed == COUNT_NEVER && seen[opcode]))
			return -EINVAL;
	}
	return 0;
}

/* The order that a table cannot say: filters last, gates only where somebody opens them, a ruleset around its rules. */
static int check_relations(const u16 *seen)
{
	bool ruleset = seen[STEP_LANDLOCK_RULESET];

	if (ruleset != (bool)seen[STEP_LANDLOCK_RESTRICT])
		return -EINVAL;
	if (!ruleset && (seen[STEP_LANDLOCK_PATH] || seen[STEP_LANDLOCK_PORT]))
		return -EINVAL;
	if (seen[STEP_AWAIT_HOST_MOUNTS] && !seen[STEP_MAP_MOUNT])
		return -EINVAL;
	if (seen[STEP_MAP_MOUNT] && !seen[STEP_AWAIT_HOST_MOUNTS])
		return -EINVAL;
	return 0;
}

static int check_steps(struct plan *plan, u32 slots)
{
	u64 cursor = HEADER_BYTES;
	u16 seen[MAX_OPCODE] = { 0 };
	int phase[3] = { 0, 0, 0 }, error;

	for (u32 i = 0; i < plan->steps; i++) {
		struct step step;
		int at;

		plan->where = cursor;
		error = decode_step(plan, &cursor, &step);
		if (error)
			return error;
		for (unsigned n = 0; n < step.rule->fields; n++)
			if (!value_allowed(&step.rule->field[n], &step.field[n], slots))
				return -EINVAL;
		at = (int)step.rule->phase;
		if (at < phase[at >> 4])
			return -EINVAL;
		phase[at >> 4] = at;
		seen[step.opcode]++;
	}
	plan->where = cursor;
	if (cursor != plan->size)
		return -EBADMSG;
	error = check_counts(plan, seen);
	return error ? error : check_relations(seen);
}

int plan_check(struct plan *plan, const void *bytes, u64 size, u32 slots)
{
	const u8 *header = bytes;

	*plan = (struct plan){ .bytes = bytes, .size = size };
	if (size > MAX_PLAN_BYTES)
		return -E2BIG;
	if (size < HEADER_BYTES || memcmp(header, "NUCPLAN", 8))
		return -EBADMSG;
	if (load(header + 8, 2) != PLAN_VERSION || load(header + 24, 8) != schema_hash)
		return -EPROTO;
	plan->kind = (enum kind)load(header + 10, 2);
	if (plan->kind != KIND_CREATE && plan->kind != KIND_JOIN)
		return -EPROTO;
	plan->steps = (u32)load(header + 12, 4);
	if (plan->steps > MAX_PLAN_STEPS)
		return -E2BIG;
	if (load(header + 16, 8) != size - HEADER_BYTES)
		return -EBADMSG;
	return check_steps(plan, slots);
}

bool plan_next(const struct plan *plan, u64 *cursor, struct step *step)
{
	if (!*cursor) {
		*cursor = HEADER_BYTES;
		step->index = ~0U;
	}
	if (*cursor >= plan->size)
		return false;
	step->index++;
	return decode_step(plan, cursor, step) == 0;
}
