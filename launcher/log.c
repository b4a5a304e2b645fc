/* nucleus-log DIRECTORY-FD LOCK-FD STDOUT-FD STDERR-FD BYTES FILES: what a detached workload prints, kept.
 *
 * Reads two pipes until both end and appends frames to `log` in the directory; a file that reaches BYTES becomes log.1,
 * the one before it log.2, at most FILES of them.  Never makes the workload wait for room: what does not fit is dropped
 * and counted.  The lock is held for as long as this lives, so that readers know whether more can come.
 * ✗ lines, text, the container: it knows bytes. */
#include "log.h"

#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include <linux/stat.h>
#include <linux/time.h>

#define STREAMS 2
#define MAX_PAYLOAD 65536U
#define MAX_FILES 1000U
#define RETRY_S 1 /* how soon it is tried again to tell of what was dropped */

int program(int argc, char **argv, char **environment, const u64 *auxiliary);

struct log {
	int directory, file;
	bool torn; /* a frame was written in part and could not be cut off yet */
	u64 size, limit, files;
	u64 dropped[STREAMS];
};

static u32 frame_check(const struct frame *frame)
{
	return ~(frame->magic ^ frame->kind ^ frame->length ^ (u32)frame->time_ns ^ (u32)(frame->time_ns >> 32));
}

static void seal_frame(struct frame *frame, enum frame_kind kind, u32 length)
{
	struct __kernel_timespec now = { 0, 0 };

	K(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, &now);
	frame->magic = FRAME_MAGIC;
	frame->kind = (u16)kind;
	frame->reserved = 0;
	frame->length = length;
	frame->time_ns = (u64)now.tv_sec * 1000000000U + (u64)now.tv_nsec;
	frame->check = frame_check(frame);
}

/* Where the last whole frame ends, when a writer before this one was killed amid the next; else the file's size. */
static u64 end_of_frames(int file, u64 size)
{
	struct frame frame;
	u64 at = 0;

	while (size - at >= sizeof(frame)) {
		if (K(__NR_pread64, file, &frame, sizeof(frame), at) != (long)sizeof(frame))
			return size;
		if (frame.magic != FRAME_MAGIC || frame.check != frame_check(&frame))
			return size; /* damaged otherwise: the reader finds the next frame behind it */
		if (frame.length > size - at - sizeof(frame))
			return at;
		at += sizeof(frame) + frame.length;
	}
	return at;
}

static int open_log(struct log *log)
{
	struct statx stat;
	int file = (int)K(__NR_openat, log->directory, "log", O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
			  0600);

	if (file < 0)
		return file;
	if (K(__NR_statx, file, "", AT_EMPTY_PATH, STATX_SIZE, &stat) < 0) {
		K(__NR_close, file);
		return -EIO;
	}
	log->file = file;
	log->size = end_of_frames(file, stat.stx_size);
	log->torn = log->size != stat.stx_size;
	return 0;
}

static void name_of(char *name, char *end, u64 number)
{
	put_number(put_text(name, end, "log."), end, number);
}

/* A gap in the numbers, left by a writer that was killed amid this, closes with the next turn. */
static int rotate(struct log *log)
{
	char from[32], to[32];
	int result;

	for (u64 number = log->files - 1; number > 1; number--) {
		name_of(from, from + 31, number - 1);
		name_of(to, to + 31, number);
		result = (int)K(__NR_renameat2, log->directory, from, log->directory, to, 0);
		if (result && result != -ENOENT)
			return result;
	}
	result = log->files > 1 ? (int)K(__NR_renameat2, log->directory, "log", log->directory, "log.1", 0)
				: (int)K(__NR_unlinkat, log->directory, "log", 0);
	if (result && result != -ENOENT)
		return result;
	K(__NR_close, log->file);
	log->file = -1;
	return 0;
}

/* A whole frame or nothing. */
static int append(struct log *log, const void *frame, u64 size)
{
	long done;
	int result = 0;

	if (log->file >= 0 && log->size && log->size + size > log->limit)
		result = rotate(log);
	if (!result && log->file < 0)
		result = open_log(log);
	if (!result && log->torn)
		result = (int)K(__NR_ftruncate, log->file, log->size);
	if (result)
		return result;
	log->torn = false;
	done = K(__NR_write, log->file, frame, size);
	if (done == (long)size) {
		log->size += size;
		return 0;
	}
	/* The disk is full, or a limit is reached; a part of a frame would hide those behind it. */
	if (done > 0)
		log->torn = K(__NR_ftruncate, log->file, log->size) < 0;
	return done < 0 ? (int)done : -ENOSPC;
}

static int tell_dropped(struct log *log)
{
	struct dropped record;
	int result;

	if (!log->dropped[0] && !log->dropped[1])
		return 0;
	seal_frame(&record.frame, FRAME_DROPPED, sizeof(record.bytes));
	memcpy(record.bytes, log->dropped, sizeof(record.bytes));
	result = append(log, &record, sizeof(record));
	if (!result)
		log->dropped[0] = log->dropped[1] = 0;
	return result;
}

/* One read of one stream into one frame; false at its end. */
static bool take(struct log *log, int stream, int fd)
{
	static struct { struct frame frame; u8 bytes[MAX_PAYLOAD]; } buffer;
	u64 room = log->limit - sizeof(buffer.frame);
	long got = K(__NR_read, fd, buffer.bytes, room < MAX_PAYLOAD ? room : MAX_PAYLOAD);

	if (got == -EAGAIN || got == -EINTR)
		return true;
	if (got <= 0)
		return false;
	seal_frame(&buffer.frame, stream ? FRAME_STDERR : FRAME_STDOUT, (u32)got);
	if (tell_dropped(log) || append(log, &buffer, sizeof(buffer.frame) + (u64)got))
		log->dropped[stream] += (u64)got;
	return true;
}

static void collect(struct log *log, const int *fds)
{
	const struct __kernel_timespec soon = { RETRY_S, 0 };
	struct pollfd waiting[STREAMS];
	int open = STREAMS;

	for (int i = 0; i < STREAMS; i++)
		waiting[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	while (open) {
		bool owing = log->dropped[0] || log->dropped[1];
		struct __kernel_timespec left = soon;
		long ready = K(__NR_ppoll, waiting, STREAMS, owing ? &left : NULL, NULL, 0);

		if (!ready)
			(void)tell_dropped(log); /* still no room: it is tried again */
		for (int i = 0; ready > 0 && i < STREAMS; i++) {
			if (!waiting[i].revents || take(log, i, waiting[i].fd))
				continue;
			K(__NR_close, waiting[i].fd);
			waiting[i] = (struct pollfd){ .fd = -1 }; /* poll(2) passes over it */
			open--;
		}
	}
	(void)tell_dropped(log); /* the last chance */
}

int program(int argc, char **argv, char **environment, const u64 *auxiliary)
{
	static struct log log = { .file = -1 };
	u64 all = ~0ULL, number[6];
	int fds[STREAMS];
	long child;

	(void)environment, (void)auxiliary;
	if (argc != 7)
		return 125;
	for (int i = 0; i < 6; i++)
		if (!parse_number(argv[i + 1], &number[i]) || (i < 4 && (number[i] < 3 || number[i] > 1U << 20)))
			return 125;
	log.directory = (int)number[0];
	for (int i = 0; i < STREAMS; i++)
		fds[i] = (int)number[2 + i];
	log.limit = number[4];
	log.files = number[5];
	if (log.limit <= sizeof(struct dropped) || !log.files || log.files > MAX_FILES || open_log(&log))
		return 125;
	/* A signal to end is no reason to lose what the workload has yet to say: the end of both streams is. */
	K(__NR_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	/* Nobody's child: whoever started this need not wait for it, and goes on as soon as the file is open. */
	child = K(__NR_clone, SIGCHLD, 0, 0, 0, 0);
	if (child)
		return child < 0 ? 125 : 0;
	K(__NR_setsid);
	collect(&log, fds);
	return 0;
}
