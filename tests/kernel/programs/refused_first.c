/* Its first call is one that the profile refuses: exits with 1 where it was, with 77 where it was made.  ✗ a C library. */
#include <asm/unistd.h>

static long call(long number, long a, long b)
{
	long result;

#if defined(__x86_64__)
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(0L) : "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	result = x0;
#endif
	return result;
}

__attribute__((noreturn)) void _start(void)
{
	/* KEYCTL_GET_KEYRING_ID of the session's */
	long result = call(__NR_keyctl, 0, -3);

	call(__NR_exit_group, result > 0 ? 77 : result == -1 ? 1 : 2, 0);
	__builtin_unreachable();
}
