/* What the launcher and nucleus-trace say to each other, and how an answer stands in the filter. */
#ifndef NUCLEUS_TRACE_H
#define NUCLEUS_TRACE_H

#define TRACE_LISTENER 'T' /* with the descriptor of the filter's listener */
#define TRACE_TAKEN 't'    /* and the first call is answered */

/* The 16 bits that the kernel does not look at in SECCOMP_RET_USER_NOTIF, as policy/seccomp_trace.py writes them: the
 * errno that the call fails with, or one of these. */
#define ANSWER_KILL 0x8000U
#define ANSWER_ALLOW 0xffffU
#define MAX_ANSWER_ERRNO 4095U

/* Which arguments of a call are looked at, one bit each, by its number; then the filter. */
#define TRACE_CALLS 1024U

#endif
