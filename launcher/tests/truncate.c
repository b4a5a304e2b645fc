/* truncate-check SLOTS FILE…: every proper prefix of each plan is refused, and the whole re-encodes to itself.
 * Built with sanitizers; each prefix is a block of its own, so that one byte too far is seen. */
#include <stdio.h>
#include <stdlib.h>

#include "reencode.h"

static u8 whole[MAX_PLAN_BYTES], again[MAX_PLAN_BYTES];

static int check_prefix(u64 size, u32 slots)
{
	struct plan plan;
	u8 *copy = malloc(size ? size : 1);
	int result;

	if (!copy)
		abort();
	memcpy(copy, whole, size);
	result = plan_check(&plan, copy, size, slots);
	free(copy);
	return result;
}

int main(int argc, char **argv)
{
	u32 slots = argc > 1 ? (u32)atoi(argv[1]) : 0;
	unsigned long refused = 0;

	for (int i = 2; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		struct plan plan;
		u64 size;

		if (!file)
			return 2;
		size = fread(whole, 1, sizeof(whole), file);
		fclose(file);
		for (u64 length = 0; length < size; length++, refused++)
			if (!check_prefix(length, slots)) {
				printf("%s: accepted after %llu bytes\n", argv[i], (unsigned long long)length);
				return 1;
			}
		if (plan_check(&plan, whole, size, slots) || plan_reencode(&plan, again, sizeof(again)) != size ||
		    memcmp(whole, again, size)) {
			printf("%s: the whole is refused or changes\n", argv[i]);
			return 1;
		}
	}
	printf("%lu\n", refused);
	return 0;
}
