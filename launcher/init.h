/* PID 1 of a sandbox.  It holds two descriptors and nothing of the plan. */
#ifndef NUCLEUS_INIT_H
#define NUCLEUS_INIT_H

/* The descriptors init is executed with. */
enum { INIT_SOCKET = 3, INIT_GATE = 4 };

/* Who the others are inside: hooks and orphans never have these numbers while it matters. */
enum { WORKLOAD_PID = 2, NETWORK_PID = 3 };

/* Never returns: reaps until the workload ends, tells the monitor, exits. */
_Noreturn void init_main(int socket, int gate);

#endif
