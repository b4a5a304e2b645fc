/* nucleus-plan-dump FILE [SLOTS]: prints every step and field of an encoded plan, as the launcher reads it.
 *
 * A program of its own, with libc: the launcher itself needs no formatting.  Its text is that of plan/explain.py's
 * `as_raw`, byte for byte; the two read the same bytes in two languages.  ✗ executes nothing of the plan. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const field_names[MAX_OPCODE][MAX_FIELDS] = {
#define FIELD_NAMES(id, ...) [STEP_##id] = { __VA_ARGS__ },
#include "plan_steps.def"
#undef FIELD_NAMES
};

static u8 bytes[MAX_PLAN_BYTES + 1];

static void print_quoted(const char *text, u64 size)
{
	putchar('"');
	for (u64 i = 0; i < size; i++) {
		u8 c = (u8)text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	putchar('"');
}

static void print_step(const struct step *step)
{
	printf("%u %s", step->index, step->rule->name);
	for (unsigned i = 0; i < step->rule->fields; i++) {
		const struct value *value = &step->field[i];
		char kind = step->rule->field[i].kind;

		printf(" %s=", field_names[step->opcode][i]);
		if (kind == 'n' || kind == 'f')
			printf("%s%llu", kind == 'f' ? "@" : "", (unsigned long long)value->number);
		else
			print_quoted(value->bytes, value->number);
	}
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct plan plan;
	struct step step;
	u64 cursor = 0;
	size_t size;
	FILE *file;
	int error;

	static const char *const kinds[] = { "", "create", "join", "prepare", "start" };

	if (argc < 2 || argc > 3) {
		fputs("usage: nucleus-plan-dump FILE [SLOTS]\n", stderr);
		return 2;
	}
	file = strcmp(argv[1], "-") ? fopen(argv[1], "rb") : stdin;
	if (!file) {
		perror(argv[1]);
		return 2;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	error = plan_check(&plan, bytes, size, argc == 3 ? (u32)strtoul(argv[2], NULL, 10) : 64);
	if (error) {
		fprintf(stderr, "refused: error %d at byte %llu\n", -error, (unsigned long long)plan.where);
		return 1;
	}
	printf("plan 1 %s %u\n", kinds[plan.kind], plan.steps);
	while (plan_next(&plan, &cursor, &step))
		print_step(&step);
	return fflush(stdout) ? 2 : 0;
}
