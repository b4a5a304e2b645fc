/* What the launcher and nucleus-trace say to each other, and how an answer stands in the filter. */
#ifndef NUCLEUS_TRACE_H
#define NUCLEUS_TRACE_H

#include "sys.h"

#include <linux/seccomp.h>

#define MSG_NOSIGNAL 0x4000 /* <linux/socket.h> has it for the kernel alone */

#define TRACE_LISTENER 'T' /* with the descriptor of the filter's listener */
#define TRACE_ATTACH 'A'   /* whoever sends it wants to be attached to */
#define TRACE_TAKEN 't'    /* and the first call is answered; or with an errno why not */

/* The low 16 bits of SECCOMP_RET_USER_NOTIF, where the kernel does not look, and of SECCOMP_RET_TRACE, which it hands on, as
 * policy/seccomp_trace.py writes them: the errno that the call fails with, or one of these. */
#define ANSWER_KILL 0x8000U
#define ANSWER_ALLOW 0xffffU
#define MAX_ANSWER_ERRNO 4095U

/* What nucleus-trace is given: which arguments of a call are told apart, one bit each, by its number; which of them name
 * files or an address; then the filter. */
#define TRACE_CALLS 1024U

/* Numbers of arguments from 1 on, 0 for none: a path and the descriptor of the directory it begins in, a second such pair,
 * flags that say what for; or a socket's address in place of the path. */
#define LOOK_PATH(look) ((look) & 7U)
#define LOOK_AT(look) ((look) >> 3 & 7U)
#define LOOK_SECOND(look) ((look) >> 6 & 7U)
#define LOOK_SECOND_AT(look) ((look) >> 9 & 7U)
#define LOOK_FLAGS(look) ((look) >> 12 & 7U)
#define LOOK_ADDRESS 0x8000U
#define LOOK_LOST LOOK_ADDRESS /* without an argument: from such a call on not every name is seen */

/* trace.c: what the filter says: ANSWER_ALLOW, ANSWER_KILL or an errno. */
u32 answer_to(const struct seccomp_data *call);
/* Counts a call, and writes the line of one that was not seen before; true where it may be made.  Where the record
 * cannot be written it may not. */
bool note_call(u32 thread, const struct seccomp_data *call, u32 answer);
int open_process(u32 thread); /* a pidfd of the process that a thread belongs to, or -errno */

/* trace_listener.c, trace_attached.c: until the last process with the filter has ended. */
void serve_listener(int fd);
long attach(u32 process);
void serve_attached(void);

/* trace_paths.c: while the launcher's process may be looked into, and when it is no longer the launcher's. */
void look_into_launcher(u32 process);
void has_executed(u32 process);
/* Writes a line for files and ports that no call has named yet; false where it cannot be written. */
bool names_cut(void); /* there were more than it could keep apart, or none could be read */
bool record_names(u32 thread, const struct seccomp_data *call, u16 look, int log);

#endif
