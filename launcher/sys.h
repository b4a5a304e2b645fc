/* The kernel seam: every effect of the launcher goes through kernel().  Which kernel that is (the real one, a recording
 * one, one with faults) is chosen by the linker, never at run time.  No libc: types and the few string functions are here. */
#ifndef NUCLEUS_SYS_H
#define NUCLEUS_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/unistd.h>
#include <linux/errno.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t i32;
typedef uint64_t u64;

/* Returns what the kernel returns: a value, or -errno. */
long kernel(long number, long a, long b, long c, long d, long e, long f);

/* Called before each step by the step loop: 0, or -errno to make the step fail (fault seam only). */
struct env;
int seam_before_step(const struct env *env, u32 index);

#define K(...) K_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define K_(n, a, b, c, d, e, f, ...) \
	kernel((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

_Noreturn void sys_exit(int status);

/* AT_* and friends that uapi headers spread over several files, or older ones lack. */
#define AT_FDCWD (-100)
#define AT_EMPTY_PATH 0x1000
#define AT_RECURSIVE 0x8000
#define AT_REMOVEDIR 0x200
#define AT_SYMLINK_NOFOLLOW 0x100

size_t text_length(const char *text);
bool text_equal(const char *a, const char *b);
bool starts_with(const char *text, const char *prefix);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
/* Appends text or a decimal number at *at, never past end (which must leave room for the NUL); returns the new position. */
char *put_text(char *at, char *end, const char *text);
char *put_number(char *at, char *end, u64 number);
/* Decimal text to number; false when it is not one or does not fit. */
bool parse_number(const char *text, u64 *number);

#endif
