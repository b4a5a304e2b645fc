/* The string functions of a program without libc.  ✗ no system calls. */
#include "sys.h"

size_t text_length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

bool starts_with(const char *text, const char *prefix)
{
	while (*prefix && *text == *prefix)
		text++, prefix++;
	return !*prefix;
}

char *put_text(char *at, char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	*at = 0;
	return at;
}

char *put_number(char *at, char *end, u64 number)
{
	char digits[21];
	size_t n = sizeof(digits) - 1;

	digits[n] = 0;
	do
		digits[--n] = (char)('0' + number % 10);
	while (number /= 10);
	return put_text(at, end, digits + n);
}

bool parse_number(const char *text, u64 *number)
{
	u64 value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > (UINT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (u64)(*text - '0');
	}
	*number = value;
	return true;
}

#if !__STDC_HOSTED__
/* The compiler may call these for assignments of structs, with or without a libc. */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, size_t n)
{
	u8 *t = to;

	while (n--)
		*t++ = (u8)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}
#endif
