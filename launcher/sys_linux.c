/* The real kernel, and the program's entry.  Linked into the launcher and into init; x86-64 and aarch64. */
#include "sys.h"

#if defined(__x86_64__)
long kernel(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n\thlt\n");
#elif defined(__aarch64__)
long kernel(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tbl start\n\tbrk #0\n");
#else
#error "nucleus-launch knows x86-64 and aarch64"
#endif

_Noreturn void sys_exit(int status)
{
	for (;;)
		K(__NR_exit_group, status);
}

/* The stack at entry: argc, argv…, NULL, environment…, NULL, auxiliary vector. */
int program(int argc, char **argv, char **environment, const u64 *auxiliary);

_Noreturn void start(long *stack);
_Noreturn void start(long *stack)
{
	int argc = (int)stack[0];
	char **argv = (char **)(stack + 1), **environment = argv + argc + 1, **end = environment;

	while (*end)
		end++;
	sys_exit(program(argc, argv, environment, (const u64 *)(end + 1)));
}
