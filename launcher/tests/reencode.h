/* Writes a decoded plan back to bytes: a plan has one encoding, so that what was accepted must come out as it went in. */
#ifndef NUCLEUS_TESTS_REENCODE_H
#define NUCLEUS_TESTS_REENCODE_H

#include "../plan.h"

/* The number of bytes written to `out`, which holds `room`; 0 when they do not fit. */
u64 plan_reencode(const struct plan *plan, u8 *out, u64 room);

#endif
