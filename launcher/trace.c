/* nucleus-trace listen|attach CHANNEL GIVEN LOG DENIED: answers the calls that a container's filter asks about, and records
 * them.
 *
 * Four descriptors; LOG and DENIED may be 0, for none.  GIVEN holds which arguments count (trace.h), then the filter itself,
 * which says the answer to each call.  With `listen` its refusals alone are recorded, as its listener hears of them
 * (trace_listener.c); with `attach` the launcher's process asks to be attached to, and everything is (trace_attached.c).
 * Every different call is a line in LOG before it is answered, one that is refused a line in DENIED: so no call is lost, even
 * when this is killed.  At the end lines follow with how often each was made beyond the first time, and one that says that
 * the record is complete.
 * ✗ names of calls, policy: it knows numbers and obeys the filter. */
#include "trace.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/signal.h>

#define ENTRIES 16384U /* a power of two */
#define VARIETY 48U    /* a call with more different values than that has no constraint worth keeping */
#define LINE 512U
#define NO_CALL (~0U) /* stands for all numbers that no kernel has: else a program could fill the table with them */
#define NAME 16U

int program(int argc, char **argv, char **environment, const u64 *auxiliary);

struct entry {
	u64 args[6];
	u64 count; /* 0: free */
	u32 arch, number;
	u32 answer;
	u8 mask;
};

static struct tracer {
	int channel, log, denied;
	u32 length;
	u64 calls;
	bool lost; /* a line could not be written */
	u8 variety[TRACE_CALLS];
	struct { u8 masks[TRACE_CALLS]; u16 looks[TRACE_CALLS]; struct sock_filter filter[BPF_MAXINSNS]; } given;
	struct entry entries[ENTRIES];
	u32 used;
} tracer;

/* ---- the answer ---------------------------------------------------------------------------------------------------- */

/* What the filter returns for a call.  Only the instructions that our compiler writes are known; others kill. */
static u32 returned(const struct seccomp_data *data)
{
	u32 word, accumulator = 0;

	for (u32 at = 0; at < tracer.length; at++) {
		const struct sock_filter *i = &tracer.given.filter[at];
		bool jump;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k % 4 || i->k >= sizeof(*data))
				return SECCOMP_RET_KILL_PROCESS;
			memcpy(&word, (const u8 *)data + i->k, sizeof(word));
			accumulator = word;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			accumulator &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			at += i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = accumulator == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = accumulator > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = accumulator >= i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = accumulator & i->k;
			break;
		default:
			return SECCOMP_RET_KILL_PROCESS;
		}
		at += jump ? i->jt : i->jf;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* Not the kernel's word for it: a filter that the program has added may stop the same call, and the word is that one's. */
u32 answer_to(const struct seccomp_data *call)
{
	u32 value = returned(call), answer = value & SECCOMP_RET_DATA;

	switch (value & ~(u32)SECCOMP_RET_DATA) {
	case SECCOMP_RET_ALLOW:
		return ANSWER_ALLOW;
	case SECCOMP_RET_USER_NOTIF:
	case SECCOMP_RET_TRACE:
		return answer == ANSWER_ALLOW || answer <= MAX_ANSWER_ERRNO ? answer : ANSWER_KILL;
	default:
		return ANSWER_KILL;
	}
}

/* ---- the record ---------------------------------------------------------------------------------------------------- */

static struct entry *find(const struct seccomp_data *data, u32 answer, u8 mask)
{
	struct entry wanted = { .arch = data->arch, .number = (u32)data->nr < TRACE_CALLS ? (u32)data->nr : NO_CALL, .answer = answer, .mask = mask };
	u64 hash = wanted.number * 0x9e3779b97f4a7c15U ^ answer;
	u32 at;

	for (unsigned i = 0; i < 6; i++) {
		wanted.args[i] = mask & (1U << i) ? data->args[i] : 0;
		hash = (hash ^ wanted.args[i]) * 0x100000001b3U;
	}
	for (at = (u32)(hash >> 40) % ENTRIES;; at = (at + 1) % ENTRIES) {
		struct entry *entry = &tracer.entries[at];

		if (!entry->count) {
			*entry = wanted;
			return entry;
		}
		if (entry->number == wanted.number && entry->arch == wanted.arch && entry->answer == answer &&
		    entry->mask == mask && !memcmp(entry->args, wanted.args, sizeof(wanted.args)))
			return entry;
	}
}

/* The entry of a call; of one that varies too much, the one without arguments. */
static struct entry *entry_of(const struct seccomp_data *data, u32 answer)
{
	u32 number = (u32)data->nr;
	bool known = number < TRACE_CALLS;
	u8 mask = known ? tracer.given.masks[number] : 0;
	struct entry *entry;

	if (known && (tracer.variety[number] >= VARIETY || tracer.used > ENTRIES / 2))
		mask = 0;
	entry = find(data, answer, mask);
	if (!entry->count) {
		tracer.used++;
		if (known && mask)
			tracer.variety[number]++;
	}
	return entry;
}

static char *put_field(char *at, char *end, const char *name, u64 number)
{
	return put_number(put_text(at, end, name), end, number);
}

/* A program's name may hold anything: what needs escaping is shown as a question mark. */
static char *put_program(char *at, char *end, u32 pid)
{
	char path[40], name[NAME + 1] = "";
	long got = 0;
	int fd;

	put_text(put_field(path, path + 39, "/proc/", pid), path + 39, "/comm");
	fd = (int)K(__NR_openat, AT_FDCWD, path, 02000000 /* O_CLOEXEC */, 0);
	if (fd >= 0) {
		got = K(__NR_read, fd, name, NAME);
		K(__NR_close, fd);
	}
	at = put_text(at, end, ",\"program\":\"");
	for (long i = 0; i < got && name[i] != '\n'; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\')
			name[i] = '?';
	for (long i = 0; i < got; i++)
		if (name[i] == '\n')
			name[i] = '\0';
	return put_text(put_text(at, end, name), end, "\"");
}

static void append(int fd, const char *line, const char *end)
{
	if (fd > 0 && K(__NR_write, fd, line, (u64)(end - line)) != (long)(end - line))
		tracer.lost = true;
}

static void record(const struct entry *entry, u64 count, u32 pid)
{
	char line[LINE], *end = line + LINE - 2, *at = put_field(line, end, "{\"arch\":", entry->arch);
	const char *separator = "";

	at = put_field(at, end, ",\"syscall\":", entry->number);
	at = put_text(at, end, ",\"args\":{");
	for (unsigned i = 0; i < 6; i++) {
		if (!(entry->mask & (1U << i)))
			continue;
		at = put_field(put_text(at, end, separator), end, "\"", i);
		at = put_field(at, end, "\":", entry->args[i]);
		separator = ",";
	}
	at = put_text(at, end, entry->answer == ANSWER_ALLOW  ? "},\"answer\":\"allow\""
			       : entry->answer == ANSWER_KILL ? "},\"answer\":\"kill\""
							      : "},\"answer\":\"errno\"");
	if (entry->answer <= MAX_ANSWER_ERRNO)
		at = put_field(at, end, ",\"errno\":", entry->answer);
	at = put_field(at, end, ",\"count\":", count);
	if (pid && entry->answer != ANSWER_ALLOW)
		at = put_program(at, end, pid);
	at = put_text(at, end, "}");
	*at++ = '\n';
	append(tracer.log, line, at);
	if (entry->answer != ANSWER_ALLOW)
		append(tracer.denied, line, at);
}

static void conclude(void)
{
	char line[LINE], *end = line + LINE - 2, *at;

	for (u32 i = 0; i < ENTRIES; i++)
		if (tracer.entries[i].count > 1)
			record(&tracer.entries[i], tracer.entries[i].count - 1, 0);
	at = put_text(line, end, tracer.lost ? "{\"end\":\"lost\"" : "{\"end\":\"complete\"");
	at = put_field(at, end, ",\"calls\":", tracer.calls);
	at = put_text(at, end, names_cut() ? ",\"names\":\"cut\"}" : ",\"names\":\"complete\"}");
	*at++ = '\n';
	append(tracer.log, line, at);
	append(tracer.denied, line, at);
}

/* ---- what both ways of hearing of a call do ------------------------------------------------------------------------- */

bool note_call(u32 thread, const struct seccomp_data *call, u32 decided)
{
	struct entry *entry = entry_of(call, decided);
	u16 look = (u32)call->nr < TRACE_CALLS ? tracer.given.looks[call->nr] : 0;

	tracer.calls++;
	if (!entry->count++)
		record(entry, 1, thread);
	if (tracer.log > 0 && decided == ANSWER_ALLOW && look && !record_names(thread, call, look, tracer.log))
		tracer.lost = true;
	return !(tracer.log > 0 && tracer.lost);
}

int open_process(u32 thread)
{
	char path[40], text[256], *at = text;
	long got = 0;
	u64 found = 0;
	int fd;

	put_text(put_field(path, path + 39, "/proc/", thread), path + 39, "/status");
	fd = (int)K(__NR_openat, AT_FDCWD, path, 02000000 /* O_CLOEXEC */, 0);
	if (fd < 0)
		return fd;
	got = K(__NR_read, fd, text, sizeof(text) - 1);
	K(__NR_close, fd);
	text[got > 0 ? got : 0] = '\0';
	for (; *at; at++)
		if (starts_with(at, "\nTgid:\t"))
			break;
	for (at += *at ? 7 : 0; *at >= '0' && *at <= '9'; at++)
		found = found * 10 + (u64)(*at - '0');
	return found ? (int)K(__NR_pidfd_open, found, 0) : -ESRCH;
}

/* ---- this process --------------------------------------------------------------------------------------------------- */

#define ALLOW(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define REGISTERS ALLOW(PTRACE_POKEUSR)
#define REGISTERS_LENGTH 2
#else
#define ARCH AUDIT_ARCH_AARCH64
#define REGISTERS ALLOW(PTRACE_GETREGSET), ALLOW(PTRACE_SETREGSET)
#define REGISTERS_LENGTH 4
#endif

/* This reads what a hostile program has written: whoever took it over would get these calls and no other, no way to make
 * a file or a process, and nobody could look into it. */
static bool confine(void)
{
	static const struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4 /* arch */),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0 /* number */),
		ALLOW(__NR_ppoll),
		ALLOW(__NR_ioctl),
		ALLOW(__NR_write),
		ALLOW(__NR_read),
		ALLOW(__NR_close),
		ALLOW(__NR_readlinkat),
		ALLOW(__NR_pread64),
		ALLOW(__NR_pidfd_open),
		ALLOW(__NR_pidfd_send_signal),
		ALLOW(__NR_exit_group),
		ALLOW(__NR_wait4),
		/* Nobody can be attached to that was not before. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ptrace, 0, 8 + REGISTERS_LENGTH),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16 /* the low half of the first argument */),
		ALLOW(PTRACE_CONT),
		ALLOW(PTRACE_LISTEN),
		ALLOW(PTRACE_GET_SYSCALL_INFO),
		REGISTERS,
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		/* Of files only what is there, for reading: O_CLOEXEC alone. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16 + 2 * 8 /* the low half of the third argument */),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 02000000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter),
					    .filter = (struct sock_filter *)(uintptr_t)filter };

	return !K(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) && !K(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !K(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static bool send_back(u8 letter, u8 error)
{
	u8 answer[2] = { letter, error };

	return K(__NR_sendto, tracer.channel, answer, error ? 2 : 1, MSG_NOSIGNAL, NULL, 0) > 0;
}

/* What comes with a letter: a listener, or, by the kernel's word, who has sent it. */
struct control {
	u64 length;
	i32 level, type;
	i32 number[3]; /* a descriptor; or pid, uid, gid */
	i32 padding;
};

/* The launcher's letter, which is the only one. */
static bool receive(u8 expected, struct control *control)
{
	u8 letter = 0;
	struct { void *base; u64 length; } part = { &letter, 1 };
	const struct { void *name; u64 name_length; void *parts; u64 part_count; void *control; u64 control_length, flags; }
		header = { NULL, 0, &part, 1, control, sizeof(*control), 0 };
	long got;

	do
		got = K(__NR_recvmsg, tracer.channel, &header, 0x40000000 /* MSG_CMSG_CLOEXEC */);
	while (got == -EINTR);
	return got == 1 && letter == expected && control->length >= 20 /* CMSG_LEN(sizeof(int)) */;
}

/* -1 where the launch has failed before. */
static int take_listener(void)
{
	struct control control = { 0 };

	return receive(TRACE_LISTENER, &control) && send_back(TRACE_TAKEN, 0) ? control.number[0] : -1;
}

static bool take_process(void)
{
	struct control control = { 0 };
	long result;

	if (!receive(TRACE_ATTACH, &control))
		return false;
	result = attach((u32)control.number[0]);
	if (!result)
		look_into_launcher((u32)control.number[0]);
	return send_back(TRACE_TAKEN, (u8)-result) && !result;
}

static bool read_given(int fd)
{
	const u64 tables = sizeof(tracer.given.masks) + sizeof(tracer.given.looks);
	u64 size = 0, most = sizeof(tracer.given);

	for (long got = 1; got && size < most; size += (u64)got) {
		got = K(__NR_pread64, fd, (u8 *)&tracer.given + size, most - size, size);
		if (got < 0)
			return false;
	}
	K(__NR_close, fd);
	if (size <= tables || (size - tables) % sizeof(struct sock_filter))
		return false;
	tracer.length = (u32)((size - tables) / sizeof(struct sock_filter));
	return true;
}

static void serve(bool attaches)
{
	int listener = -1;

	if (!attaches)
		listener = take_listener();
	if (attaches ? !take_process() : listener < 0)
		return; /* the launch has failed: there is nothing to tell */
	if (!confine())
		return; /* every call that would be asked about fails, or its process is killed */
	if (attaches)
		serve_attached();
	else
		serve_listener(listener);
	conclude();
}

int program(int argc, char **argv, char **environment, const u64 *auxiliary)
{
	u64 all = ~0ULL, number[4];
	bool attaches = argc == 6 && text_equal(argv[1], "attach");
	i32 on = 1;
	long child;

	(void)environment, (void)auxiliary;
	if (argc != 6 || (!attaches && !text_equal(argv[1], "listen")))
		return 125;
	for (int i = 0; i < 4; i++)
		if (!parse_number(argv[i + 2], &number[i]) || number[i] > 1U << 20 || (i < 2 && number[i] < 3))
			return 125;
	tracer.channel = (int)number[0];
	tracer.log = (int)number[2];
	tracer.denied = (int)number[3];
	if (!read_given((int)number[1]))
		return 125;
	if (attaches && K(__NR_setsockopt, tracer.channel, 1 /* SOL_SOCKET */, 16 /* SO_PASSCRED */, &on, sizeof(on)))
		return 125;
	/* A signal to end is no reason to leave a container whose every call would fail: its end is. */
	K(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, NULL, sizeof(all));
	/* Nobody's child: whoever started this need not wait for it. */
	child = K(__NR_clone, SIGCHLD, 0, 0, 0, 0);
	if (child)
		return child < 0 ? 125 : 0;
	K(__NR_setsid);
	serve(attaches);
	return 0;
}
