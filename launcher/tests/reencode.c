/* The encoder of the tests, written from the format's description and not from the decoder. */
#include "reencode.h"

#define FRAMED(kind) ((kind) == 's' || (kind) == 'b')

struct writer {
	u8 *at, *end;
	bool full;
};

static void put(struct writer *to, u64 value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		if (to->at == to->end) {
			to->full = true;
			return;
		}
		*to->at++ = (u8)(value >> 8 * i & 0xff);
	}
}

static u64 body_size(const struct step *step)
{
	u64 size = 0;

	for (unsigned i = 0; i < step->rule->fields; i++)
		size += FRAMED(step->rule->field[i].kind) ? 8 + (step->field[i].number / 8 + 1) * 8 : 8;
	return size;
}

static void put_step(struct writer *to, const struct step *step)
{
	put(to, step->opcode, 2);
	put(to, 0, 2);
	put(to, body_size(step), 4);
	for (unsigned i = 0; i < step->rule->fields; i++) {
		const struct value *value = &step->field[i];

		put(to, value->number, 8);
		if (!FRAMED(step->rule->field[i].kind))
			continue;
		for (u64 at = 0; at < (value->number / 8 + 1) * 8; at++)
			put(to, at < value->number ? (u8)value->bytes[at] : 0, 1);
	}
}

u64 plan_reencode(const struct plan *plan, u8 *out, u64 room)
{
	static const u64 hash =
#define SCHEMA_HASH_LINE(value) value;
#include "../plan_steps.def"
#undef SCHEMA_HASH_LINE
	struct writer to = { out, out + room, false };
	u64 cursor = 0, size;
	struct step step;

	if (room < 32)
		return 0;
	to.at += 32;
	while (plan_next(plan, &cursor, &step))
		put_step(&to, &step);
	if (to.full)
		return 0;
	size = (u64)(to.at - out);
	to.at = out;
	for (const char *magic = "NUCPLAN"; *magic; magic++)
		put(&to, (u8)*magic, 1);
	put(&to, 0, 1);
	put(&to, 1, 2);
	put(&to, plan->kind, 2);
	put(&to, plan->steps, 4);
	put(&to, size - 32, 8);
	put(&to, hash, 8);
	return size;
}
