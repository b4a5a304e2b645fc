/* The frames of a container's log.  Python reads them in observe/frames.py; numbers are little-endian. */
#ifndef NUCLEUS_LOG_H
#define NUCLEUS_LOG_H

#include "sys.h"

#define FRAME_MAGIC 0x474f4c4eU /* "NLOG" */

enum frame_kind { FRAME_STDOUT = 1, FRAME_STDERR = 2, FRAME_DROPPED = 3 };

struct frame {
	u32 magic;
	u16 kind, reserved;
	u32 length; /* bytes that follow */
	u32 check;  /* the other numbers of the header, combined: what only looks like a frame is none */
	u64 time_ns; /* CLOCK_REALTIME when it was read */
};

/* What could not be written, bytes of each stream, told as soon as there is room again. */
struct dropped {
	struct frame frame;
	u64 bytes[2];
};

#endif
