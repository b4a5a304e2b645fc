/* Which files and ports the calls name that are asked about, each a line once.
 *
 * A caller may change what its pointers point to after this has looked: this is a record for those who want to know what a
 * program uses, and decides nothing. */
#include "trace.h"

#define SEEN 32768U /* a power of two */
#define MOST (SEEN / 2)
#define PAGE 4096U
#define PATH 4096U
#define WHOLE (2U * PATH + 1U) /* a directory's and what follows */
#define LINE (6U * 2U * WHOLE + 256U) /* two, of which each byte may be written as six */
#define MOST_BYTES (16U << 20) /* of all lines: it is no way to fill the host's disk */
#define AT_FDCWD_LOW ((u32)AT_FDCWD)

static u64 seen[SEEN];
static u32 used;
static u64 written;
static bool cut;

bool names_cut(void)
{
	return cut || !used; /* of a program that names nothing at all, nothing could be read */
}

/* True the first time. */
static bool is_new(u32 number, u64 flags, const char *a, const char *b)
{
	u64 hash = 0xcbf29ce484222325U ^ number ^ flags << 20;
	u32 at;

	for (const char *texts[] = { a, b }, **text = texts; text < texts + 2; text++, hash = (hash ^ 1U) * 0x100000001b3U)
		for (const char *byte = *text; *byte; byte++)
			hash = (hash ^ (u8)*byte) * 0x100000001b3U;
	hash |= 1U;
	for (at = (u32)(hash >> 32) % SEEN; seen[at]; at = (at + 1) % SEEN)
		if (seen[at] == hash)
			return false;
	if (used == MOST) {
		cut = true;
		return false;
	}
	used++;
	seen[at] = hash;
	return true;
}

/* A tracer without rights over the host may not look into the launcher's process after it has said that nobody may: it opens
 * this before.  By its file, not by process_vm_readv(2), also memory can be read that the program itself may not read. */
static struct { u32 process; int memory; } launcher = { 0, -1 };

static int open_memory(u32 pid)
{
	char path[40];

	put_text(put_number(put_text(path, path + 39, "/proc/"), path + 39, pid), path + 39, "/mem");
	return (int)K(__NR_openat, AT_FDCWD, path, 02000000 /* O_CLOEXEC */, 0);
}

void look_into_launcher(u32 process)
{
	launcher.process = process;
	launcher.memory = open_memory(process);
}

void has_executed(u32 process)
{
	if (process != launcher.process)
		return;
	if (launcher.memory >= 0)
		K(__NR_close, launcher.memory);
	launcher.process = 0;
}

/* As many bytes of the caller's memory as are there, page by page; of a text those before its end. */
static u64 read_memory(u32 pid, u64 from, char *to, u64 size, bool text, bool *ended)
{
	int memory = pid == launcher.process ? launcher.memory : open_memory(pid);
	u64 done = 0;

	*ended = false;
	while (memory >= 0 && done < size && !*ended) {
		u64 rest = PAGE - (from + done) % PAGE, part = rest < size - done ? rest : size - done;
		long got = K(__NR_pread64, memory, to + done, part, from + done);

		if (got <= 0)
			break;
		for (u64 end = done + (u64)got; done < end && !*ended; done++)
			if (text && !to[done])
				*ended = true;
	}
	if (memory >= 0 && pid != launcher.process)
		K(__NR_close, memory);
	return *ended ? done - 1 : done;
}

/* The path in the caller's words, from the directory that it begins in; "" when it cannot be had, or the kernel takes no such
 * path either. */
static void whole_path(u32 pid, u64 pointer, u64 directory, char *to)
{
	static char words[PATH];
	char link[64], *end = link + 63;
	u64 length = 0;
	long got = 0;
	bool ended = false;

	to[0] = '\0';
	if (pointer)
		length = read_memory(pid, pointer, words, sizeof(words), true, &ended);
	if (!ended) /* a path that is longer is refused by the kernel, too */
		cut = cut || (pointer && length < PATH);
	if (!length || !ended)
		return;
	if (words[0] != '/') {
		put_number(put_text(link, end, "/proc/"), end, pid);
		if ((u32)directory == AT_FDCWD_LOW)
			put_text(link + text_length(link), end, "/cwd");
		else
			put_number(put_text(link + text_length(link), end, "/fd/"), end, (u32)directory);
		got = K(__NR_readlinkat, AT_FDCWD, link, to, PATH);
		if (got <= 0 || got == PATH) {
			cut = cut || got != -ENOENT; /* where there is no such descriptor, the call fails too */
			to[0] = '\0';
			return;
		}
		to[got++] = '/';
	}
	memcpy(to + got, words, length + 1);
}

/* Every byte as it is: what JSON's reader takes for a character of Latin-1 is a byte of the name. */
static char *put_escaped(char *at, char *end, const char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (; *text; text++) {
		u8 byte = (u8)*text;
		char escaped[] = { '\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15], '\0' }, plain[] = { *text, '\0' };
		bool printable = byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';

		at = put_text(at, end, printable ? plain : escaped);
	}
	return at;
}

static char line[LINE];

static char *begin(const struct seccomp_data *data)
{
	char *end = line + LINE - 2;

	return put_number(put_text(put_number(put_text(line, end, "{\"arch\":"), end, data->arch), end, ",\"named\":"), end,
			  (u32)data->nr);
}

static bool finish(int log, char *at)
{
	at = put_text(at, line + LINE - 2, "}");
	*at++ = '\n';
	if (written + (u64)(at - line) > MOST_BYTES) {
		cut = true;
		return true;
	}
	written += (u64)(at - line);
	return K(__NR_write, log, line, (u64)(at - line)) == (long)(at - line);
}

static bool record_port(u32 thread, const struct seccomp_data *call, u64 pointer, int log)
{
	static char none[1];
	char address[28] = { 0 }, *end = line + LINE - 2, *at; /* sockaddr_in6 */
	bool ended;
	u64 got = read_memory(thread, pointer, address, sizeof(address), false, &ended);
	u32 family = (u8)address[0] | (u32)(u8)address[1] << 8, port = (u32)(u8)address[2] << 8 | (u8)address[3];
	bool local = family == 2 ? address[4] == 127 : !memcmp(address + 8, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);

	if (got < 8)
		cut = cut || pointer;
	if (got < 8 || (family != 2 && family != 10) || !is_new((u32)call->nr, (u64)port << 8 | family << 1 | local, none, none))
		return true;
	at = put_number(put_text(begin(call), end, ",\"family\":"), end, family);
	at = put_number(put_text(at, end, ",\"port\":"), end, port);
	return finish(log, put_text(at, end, local ? ",\"local\":true" : ",\"local\":false"));
}

bool record_names(u32 thread, const struct seccomp_data *call, u16 look, int log)
{
	static char paths[2][WHOLE];
	const u64 *args = (const u64 *)call->args;
	u64 flags = 0;
	char *end = line + LINE - 2, *at;

	if (look == LOOK_LOST) {
		cut = true;
		return true;
	}
	if (look & LOOK_ADDRESS)
		return record_port(thread, call, args[LOOK_PATH(look) - 1], log);
	for (int i = 0; i < 2; i++) {
		u32 path = i ? LOOK_SECOND(look) : LOOK_PATH(look), from = i ? LOOK_SECOND_AT(look) : LOOK_AT(look);

		paths[i][0] = '\0';
		if (path)
			whole_path(thread, args[path - 1], from ? args[from - 1] : AT_FDCWD_LOW, paths[i]);
	}
	if (LOOK_FLAGS(look))
		flags = (u32)args[LOOK_FLAGS(look) - 1];
	if (!paths[0][0] || !is_new((u32)call->nr, flags, paths[0], paths[1]))
		return true;
	at = put_escaped(put_text(begin(call), end, ",\"path\":\""), end, paths[0]);
	at = put_text(at, end, "\"");
	if (paths[1][0])
		at = put_text(put_escaped(put_text(at, end, ",\"second\":\""), end, paths[1]), end, "\"");
	at = put_number(put_text(at, end, ",\"flags\":"), end, flags);
	return finish(log, at);
}
