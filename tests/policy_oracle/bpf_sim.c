/* Runs seccomp filters over many calls at once, and counts which way every branch went: the judge of the oracle
 * tests.  It knows exactly the instructions that the kernel's checker lets into a seccomp filter, and refuses a
 * program that the kernel would refuse. */
#include <stdint.h>
#include <string.h>

struct insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

struct call {
	uint32_t nr, arch;
	uint64_t ip, args[6];
};

enum { SCRATCH = 16, FORBIDDEN = -1, OUT_OF_BOUNDS = -2 };

/* Where an instruction may go: forward only, inside, and the last one returns. */
static int check(const struct insn *program, uint32_t length, uint32_t limit)
{
	if (!length || length > limit || (program[length - 1].code & 7) != 0x06)
		return OUT_OF_BOUNDS;
	for (uint32_t i = 0; i < length; i++) {
		const struct insn *in = &program[i];

		switch (in->code & 7) {
		case 0x05:
			if (in->code == 0x05) {
				if (in->k >= length - i - 1)
					return OUT_OF_BOUNDS;
			} else if (in->jt >= length - i - 1 || in->jf >= length - i - 1) {
				return OUT_OF_BOUNDS;
			}
			break;
		case 0x00:
			if (in->code == 0x20 && (in->k >= sizeof(struct call) || in->k & 3))
				return OUT_OF_BOUNDS;
			break;
		case 0x02:
		case 0x03:
			if (in->k >= SCRATCH)
				return OUT_OF_BOUNDS;
			break;
		}
	}
	return 0;
}

static int jumps(const struct insn *in, uint32_t a, uint32_t x)
{
	uint32_t other = in->code & 0x08 ? x : in->k;

	switch (in->code & 0xf0) {
	case 0x10:
		return a == other;
	case 0x20:
		return a > other;
	case 0x30:
		return a >= other;
	default:
		return (a & other) != 0;
	}
}

static int alu(const struct insn *in, uint32_t *a, uint32_t x)
{
	uint32_t other = in->code & 0x08 ? x : in->k;

	switch (in->code & 0xf0) {
	case 0x00: *a += other; return 0;
	case 0x10: *a -= other; return 0;
	case 0x20: *a *= other; return 0;
	case 0x40: *a |= other; return 0;
	case 0x50: *a &= other; return 0;
	case 0x60: *a = other < 32 ? *a << other : 0; return 0;
	case 0x70: *a = other < 32 ? *a >> other : 0; return 0;
	case 0xa0: *a ^= other; return 0;
	default: return FORBIDDEN;
	}
}

static int load(const struct insn *in, const struct call *call, const uint32_t *memory, uint32_t *a, uint32_t *x)
{
	switch (in->code) {
	case 0x20: memcpy(a, (const char *)call + in->k, 4); return 0;
	case 0x00: *a = in->k; return 0;
	case 0x60: *a = memory[in->k]; return 0;
	case 0x01: *x = in->k; return 0;
	case 0x61: *x = memory[in->k]; return 0;
	default: return FORBIDDEN;
	}
}

/* `went`: two bytes per instruction, set when a jump there was not taken, and taken.  Negative: not a filter. */
static int64_t run(const struct insn *program, const struct call *call, uint8_t *went)
{
	uint32_t a = 0, x = 0, memory[SCRATCH] = { 0 };

	for (uint32_t pc = 0;; pc++) {
		const struct insn *in = &program[pc];
		int bad = 0;

		switch (in->code & 7) {
		case 0x06:
			return in->code == 0x16 ? a : in->k;
		case 0x05:
			if (in->code == 0x05) {
				pc += in->k;
			} else {
				int taken = jumps(in, a, x);

				went[2 * pc + (taken ? 1 : 0)] = 1;
				pc += taken ? in->jt : in->jf;
			}
			break;
		case 0x00:
		case 0x01: bad = load(in, call, memory, &a, &x); break;
		case 0x02: memory[in->k] = a; break;
		case 0x03: memory[in->k] = x; break;
		case 0x04: bad = alu(in, &a, x); break;
		case 0x07: if (in->code == 0x07) x = a; else a = x; break;
		}
		if (bad)
			return bad;
	}
}

/* Answers of a program to `count` calls.  0, or why the kernel would refuse it. */
int simulate(const struct insn *program, uint32_t length, uint32_t limit, const struct call *calls, uint64_t count,
	     uint32_t *answers, uint8_t *went)
{
	int bad = check(program, length, limit);

	for (uint64_t i = 0; !bad && i < count; i++) {
		int64_t answer = run(program, &calls[i], went);

		if (answer < 0)
			return (int)answer;
		answers[i] = (uint32_t)answer;
	}
	return bad;
}

/* As the kernel does at installation: how many instructions run until the answer, or an argument, is reached. */
uint64_t steps(const struct insn *program, uint32_t arch, uint32_t nr)
{
	const struct call call = { .nr = nr, .arch = arch };
	uint64_t n = 0;
	uint32_t a = 0;

	for (uint32_t pc = 0;; pc++) {
		const struct insn *in = &program[pc];

		n++;
		if (in->code == 0x20 && in->k < 8)
			memcpy(&a, (const char *)&call + in->k, 4);
		else if (in->code == 0x05)
			pc += in->k;
		else if (in->code == 0x54)
			a &= in->k;
		else if ((in->code & 7) == 0x05)
			pc += jumps(in, a, 0) ? in->jt : in->jf;
		else
			return n;
	}
}
