/* The decoder's verdict as a function that Python can call. */
#include "../plan.h"

int decode_verdict(const u8 *bytes, u64 size, u32 slots);
int decode_verdict(const u8 *bytes, u64 size, u32 slots)
{
	struct plan plan;

	return plan_check(&plan, bytes, size, slots);
}
