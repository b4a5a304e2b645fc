/* bytes → steps.  The whole plan is checked before any of it is executed.  ✗ no system call, no allocation. */
#include "plan.h"

static const struct step_rule rules[MAX_OPCODE] = {
#define STEP(id, number, text, phase_, create_, join_, prepare_, start_, count_, ...) \
	[number] = { .name = (text), .phase = (phase_), .fields = (count_), \
		     .count = { [KIND_CREATE] = (create_), [KIND_JOIN] = (join_), [KIND_PREPARE] = (prepare_), \
				[KIND_START] = (start_) }, \
		     .field = { __VA_ARGS__ } },
#include "plan_steps.def"
#undef STEP
};

#define SCHEMA_HASH_LINE(value) const u64 schema_hash = (value);
#include "plan_steps.def"
#undef SCHEMA_HASH_LINE

#define HEADER_BYTES 32U
#define STEP_BYTES 8U
#define PLAN_VERSION 1U

const struct step_rule *step_rule(u32 opcode)
{
	return opcode < MAX_OPCODE && rules[opcode].name ? &rules[opcode] : NULL;
}

/* A plan is little-endian, and so is every machine that the launcher knows. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers of a plan are loaded as they lie there");

#define LOAD(type) \
	static type load_##type(const u8 *at) \
	{ \
		type value; \
		__builtin_memcpy(&value, at, sizeof(value)); \
		return value; \
	}
LOAD(u16)
LOAD(u32)
LOAD(u64)

static bool has_zero_byte(u64 word)
{
	return (word - 0x0101010101010101U) & ~word & 0x8080808080808080U;
}

/* Only zeros behind the value, up to the next word's begin; no NUL in a text.  A start waits for this: by words. */
static bool canonical(char kind, const struct value *value)
{
	const u8 *at = (const u8 *)value->bytes, *last = at + value->number - value->number % 8;
	unsigned bits = 8 * (unsigned)(value->number % 8); /* of the last word, that belong to the value */
	u64 tail = load_u64(last);

	if (tail >> bits)
		return false;
	if (kind == 'b')
		return true;
	for (; at < last; at += 8)
		if (has_zero_byte(load_u64(at)))
			return false;
	return !has_zero_byte(tail | ~0ULL << bits);
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

/* One field at *at, which is advanced; false when it does not fit before end. */
static bool decode_field(char kind, const u8 **at, const u8 *end, struct value *value)
{
	u64 left = (u64)(end - *at), padded;

	if (left < 8)
		return false;
	value->number = load_u64(*at);
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
	*at += padded;
	return true;
}

static int decode_step(const struct plan *plan, u64 *cursor, struct step *step)
{
	const u8 *at = plan->bytes + *cursor, *end = plan->bytes + plan->size;
	u64 body;

	if ((u64)(end - at) < STEP_BYTES)
		return -EBADMSG;
	step->opcode = load_u16(at);
	step->rule = step_rule(step->opcode);
	body = load_u32(at + 4);
	if (!step->rule || load_u16(at + 2))
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

static int check_counts(const struct plan *plan)
{
	const u16 *seen = plan->seen;

	for (u32 opcode = 0; opcode < MAX_OPCODE; opcode++) {
		enum count allowed;

		if (!rules[opcode].name)
			continue;
		allowed = rules[opcode].count[plan->kind];
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
	if (seen[STEP_AWAIT_HOST_MOUNTS] != seen[STEP_HAND_OVER_MOUNTS])
		return -EINVAL;
	return 0;
}

/* What one step has beyond its frame: values, and a place in its actor's order that does not go back. */
static int check_step(const struct step *step, u32 slots, int phase[ACTORS])
{
	int at = (int)step->rule->phase;

	for (unsigned i = 0; i < step->rule->fields; i++) {
		const struct field_rule *rule = &step->rule->field[i];
		const struct value *value = &step->field[i];

		if (value->bytes && !canonical(rule->kind, value))
			return -EBADMSG;
		if (!value_allowed(rule, value, slots))
			return -EINVAL;
	}
	if (at < phase[at >> 4])
		return -EINVAL;
	phase[at >> 4] = at;
	return 0;
}

static int check_steps(struct plan *plan, u32 slots)
{
	u64 cursor = HEADER_BYTES;
	int phase[ACTORS] = { 0 }, error;

	for (u32 i = 0; i < plan->steps; i++) {
		struct span *span;
		struct step step;

		plan->where = cursor;
		error = decode_step(plan, &cursor, &step);
		if (!error)
			error = check_step(&step, slots, phase);
		if (error)
			return error;
		plan->seen[step.opcode]++;
		span = &plan->spans[step.rule->phase];
		if (!span->end)
			*span = (struct span){ .begin = plan->where, .index = i };
		span->end = cursor;
	}
	plan->where = cursor;
	if (cursor != plan->size)
		return -EBADMSG;
	error = check_counts(plan);
	return error ? error : check_relations(plan->seen);
}

int plan_check(struct plan *plan, const void *bytes, u64 size, u32 slots)
{
	const u8 *header = bytes;

	*plan = (struct plan){ .bytes = bytes, .size = size };
	if (size > MAX_PLAN_BYTES)
		return -E2BIG;
	if (size < HEADER_BYTES || memcmp(header, "NUCPLAN", 8))
		return -EBADMSG;
	if (load_u16(header + 8) != PLAN_VERSION || load_u64(header + 24) != schema_hash)
		return -EPROTO;
	plan->kind = (enum kind)load_u16(header + 10);
	if (plan->kind < KIND_CREATE || plan->kind > KIND_START)
		return -EPROTO;
	plan->steps = load_u32(header + 12);
	if (plan->steps > MAX_PLAN_STEPS)
		return -E2BIG;
	if (load_u64(header + 16) != size - HEADER_BYTES)
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

bool plan_next_of(const struct plan *plan, enum phase phase, u64 *cursor, struct step *step)
{
	const struct span *span = &plan->spans[phase];
	bool more;

	if (!*cursor) {
		*cursor = span->begin;
		step->index = span->index - 1;
	}
	do /* steps of other actors may stand between */
		more = *cursor < span->end && plan_next(plan, cursor, step);
	while (more && step->rule->phase != phase);
	return more;
}
