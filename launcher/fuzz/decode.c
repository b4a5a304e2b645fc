/* What must hold for any bytes: the decoder reads nothing outside them, and what it accepts has one encoding only.
 *
 * The mutator is libFuzzer's own; every other time the lengths are mended afterwards, or nearly every mutant would fail
 * at the header and none would reach the checks of values and order. */
#include <stdio.h>
#include <stdlib.h>

#include "../tests/reencode.h"

#define ROOM (1U << 16)
#define SLOTS 5U

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t room, unsigned seed);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void violated(const char *what)
{
	fprintf(stderr, "violated: %s\n", what);
	abort();
}

/* Of the walk over all steps: where each one ends, and what it is. */
static u64 end_of[MAX_PLAN_STEPS];
static u32 opcode_of[MAX_PLAN_STEPS];

static void check_steps(const struct plan *plan)
{
	u64 cursor = 0;
	u32 count = 0;
	struct step step;

	while (plan_next(plan, &cursor, &step)) {
		if (step.index != count++)
			violated("steps are numbered in order");
		if (!step.rule || step.rule != step_rule(step.opcode))
			violated("every step has its rule");
		for (unsigned i = 0; i < step.rule->fields; i++)
			if (step.rule->field[i].kind == 'f' && step.field[i].number >= SLOTS)
				violated("a slot is one of those given");
		end_of[step.index] = cursor;
		opcode_of[step.index] = step.opcode;
	}
	if (count != plan->steps || cursor != plan->size)
		violated("a walk meets every step and ends at the end");
}

static void check_phases(const struct plan *plan)
{
	u32 count = 0, seen = 0;

	for (unsigned phase = 0; phase < MAX_PHASE; phase++) {
		u64 cursor = 0;
		i32 last = -1;
		struct step step;

		while (plan_next_of(plan, (enum phase)phase, &cursor, &step)) {
			if (step.rule->phase != phase || (i32)step.index <= last)
				violated("a phase has its own steps, in order");
			last = (i32)step.index;
			count++;
			if (step.index >= plan->steps || end_of[step.index] != cursor || opcode_of[step.index] != step.opcode)
				violated("both walks number a step alike");
		}
	}
	for (u32 opcode = 0; opcode < MAX_OPCODE; opcode++)
		seen += plan->seen[opcode];
	if (count != plan->steps || seen != count)
		violated("every step belongs to one phase, and is counted once");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 again[ROOM];
	struct plan plan;
	/* A copy of exactly this size, so that the sanitizer sees a read behind its end. */
	u8 *copy = malloc(size ? size : 1);
	int result;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	result = plan_check(&plan, copy, size, SLOTS);
	if (result > 0)
		violated("0 or a negative error number");
	if (result && plan.where > size)
		violated("a refusal points into the plan");
	if (!result) {
		check_steps(&plan);
		check_phases(&plan);
		if (size <= ROOM && (plan_reencode(&plan, again, ROOM) != size || memcmp(again, copy, size)))
			violated("an accepted plan re-encodes to the same bytes");
	}
	free(copy);
	return 0;
}

static u64 load(const u8 *at, unsigned bytes)
{
	u64 value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (u64)at[i] << 8 * i;
	return value;
}

static void store(u8 *at, u64 value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (u8)(value >> 8 * i & 0xff);
}

/* The length that the fields of a step ask for, or 0 when they leave the data. */
static u64 wanted_body(const u8 *step, u64 left)
{
	const struct step_rule *rule = step_rule((u32)load(step, 2));
	u64 at = 8;

	for (unsigned i = 0; rule && i < rule->fields; i++) {
		u64 number;

		if (left - at < 8)
			return 0;
		number = load(step + at, 8);
		at += 8;
		if (rule->field[i].kind != 's' && rule->field[i].kind != 'b')
			continue;
		if (number >= left - at || (number / 8 + 1) * 8 > left - at)
			return 0;
		at += (number / 8 + 1) * 8;
	}
	return rule ? at - 8 : 0;
}

/* Makes lengths and counts say what is there. */
static void mend(u8 *data, size_t size)
{
	u64 at = 32, steps = 0;

	while (at + 8 <= size) {
		u64 body = wanted_body(data + at, size - at);

		if (!body)
			body = load(data + at + 4, 4);
		if (body > size - at - 8)
			break;
		store(data + at + 4, body, 4);
		at += 8 + body;
		steps++;
	}
	memcpy(data, "NUCPLAN", 8);
	store(data + 12, steps, 4);
	store(data + 16, size - 32, 8);
}

/* Removes, doubles or moves one whole step. */
static size_t shuffle(u8 *data, size_t size, size_t room, unsigned seed)
{
	static u8 step[ROOM];
	u64 at = 32, skip = seed / 8 % 64, length, to;

	while (at + 8 <= size && skip-- && at + 8 + load(data + at + 4, 4) + 8 <= size)
		at += 8 + load(data + at + 4, 4);
	if (at + 8 > size)
		return size;
	length = 8 + load(data + at + 4, 4);
	if (length > size - at || length > ROOM)
		return size;
	memcpy(step, data + at, length);
	if (seed & 1) { /* away with it */
		for (u64 i = at; i + length < size; i++)
			data[i] = data[i + length];
		size -= length;
	}
	if (seed & 2 || size + length > room)
		return size;
	to = 32;
	for (skip = seed / 512 % 64; skip && to + 8 + load(data + to + 4, 4) + 8 <= size; skip--)
		to += 8 + load(data + to + 4, 4);
	if (to > size)
		return size;
	for (u64 i = size; i > to; i--)
		data[i - 1 + length] = data[i - 1];
	memcpy(data + to, step, length);
	return size + length;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t room, unsigned seed)
{
	if (seed % 4 == 0 && size > 40)
		size = shuffle(data, size, room, seed / 4);
	else
		size = LLVMFuzzerMutate(data, size, room);
	if (seed & 2 && size >= 32)
		mend(data, size);
	return size;
}
