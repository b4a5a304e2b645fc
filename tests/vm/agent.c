/* Runs commands in the test guest for the host, over a virtio-serial port.
 *
 * A service under systemd, or PID 1 itself (then it first mounts what a guest needs). Static: no start-up cost.
 *
 * Frames, both ways: 1 byte type, 4 bytes big-endian length, payload.
 *   host to guest   Q  NUL-terminated strings: KEY=VALUE ..., "--", argv...
 *                      keys: cwd, uid, gid, env (NAME=VALUE), time (SEC.NSEC), seed (bytes for the random pool)
 *   guest to host   R  ready     O  standard output     E  standard error     X  exit status, in decimal
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536, MAX_REQUEST = 1 << 20, MAX_ARGS = 1024, MAX_ENV = 256 };

/* A background process that outlives the command may hold its pipes open: so long are they still read. */
static const long GRACE_MS = 300;

static int port = -1;

struct request {
	const char *cwd, *time, *seed;
	uid_t uid;
	gid_t gid;
	char *argv[MAX_ARGS + 1], *env[MAX_ENV];
	size_t argc, envc;
};

static void complain(const char *about)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	dprintf(fd, "vm-agent: %s: %m\n", about);
	close(fd);
}

static void write_all(int fd, const char *from, size_t left)
{
	while (left) {
		ssize_t done = write(fd, from, left);
		if (done < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 100);
		} else if (done < 0 && errno != EINTR) {
			exit(1); /* the host is gone */
		} else if (done > 0) {
			from += done;
			left -= (size_t)done;
		}
	}
}

static void read_all(int fd, char *to, size_t left)
{
	while (left) {
		ssize_t done = read(fd, to, left);
		if (done == 0)
			usleep(2000); /* the host has not opened its end yet */
		else if (done < 0 && errno != EINTR && errno != EAGAIN)
			exit(1);
		else if (done > 0) {
			to += done;
			left -= (size_t)done;
		}
	}
}

static void send_frame(char type, const char *payload, size_t size)
{
	char head[5] = { type, (char)(size >> 24), (char)(size >> 16), (char)(size >> 8), (char)size };
	write_all(port, head, sizeof head);
	write_all(port, payload, size);
}

static void send_status(int status)
{
	char text[16];
	int size = snprintf(text, sizeof text, "%d", status);
	send_frame('X', text, (size_t)size);
}

static void mount_at(const char *type, const char *where, unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(type, where, type, flags, options) < 0 && errno != EBUSY)
		complain(where);
}

static void raise_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0) {
		complain("lo");
		return;
	}
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		complain("lo");
	close(fd);
}

/* Every controller for everybody below; commands get a leaf of their own, so that the root may hand them down. */
static void delegate_controllers(void)
{
	static const char *const controllers[] = { "+cpuset", "+cpu", "+io", "+memory", "+pids" };
	int fd = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++)
		if (write(fd, controllers[i], strlen(controllers[i])) < 0)
			complain(controllers[i]);
	close(fd);
	mkdir("/sys/fs/cgroup/cmd", 0755);
}

static void become_pid1(void)
{
	const unsigned long quiet = MS_NOSUID | MS_NODEV, quietest = quiet | MS_NOEXEC;
	mount_at("proc", "/proc", quietest, NULL);
	mount_at("sysfs", "/sys", quietest, NULL);
	mount_at("devtmpfs", "/dev", MS_NOSUID, NULL);
	mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
	mount_at("tmpfs", "/dev/shm", quiet, "mode=1777");
	mount_at("mqueue", "/dev/mqueue", quietest, NULL);
	mount_at("tmpfs", "/run", quiet, "mode=755");
	mount_at("tmpfs", "/tmp", quiet, "mode=1777");
	mount_at("cgroup2", "/sys/fs/cgroup", quietest, "nsdelegate");
	mount_at("securityfs", "/sys/kernel/security", quietest, NULL);
	mount_at("bpf", "/sys/fs/bpf", quietest, "mode=700");
	if (symlink("/proc/self/fd", "/dev/fd") || symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") || symlink("/proc/self/fd/2", "/dev/stderr"))
		complain("/dev links");
	if (sethostname("vm", 2))
		complain("host name");
	raise_loopback();
	delegate_controllers();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
}

/* What udev would have done (it is masked): nodes that load their module when opened. */
static void make_nodes(void)
{
	umask(0);
	mkdir("/dev/net", 0755);
	if ((mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)) && errno != EEXIST) ||
	    (mknod("/dev/fuse", S_IFCHR | 0666, makedev(10, 229)) && errno != EEXIST) ||
	    (mknod("/dev/loop-control", S_IFCHR | 0660, makedev(10, 237)) && errno != EEXIST))
		complain("device nodes");
	chmod("/dev/net/tun", 0666);
	chmod("/dev/fuse", 0666);
	umask(022);
}

static const char *value_of(const char *entry, const char *key)
{
	size_t size = strlen(key);
	return strncmp(entry, key, size) == 0 && entry[size] == '=' ? entry + size + 1 : NULL;
}

static struct request parse(char *text, size_t size)
{
	struct request it = { .cwd = "/" };
	char *end = text + size;
	int in_command = 0;
	for (char *entry = text; entry < end; entry += strlen(entry) + 1) {
		const char *value;
		if (in_command) {
			if (it.argc < MAX_ARGS)
				it.argv[it.argc++] = entry;
		} else if (strcmp(entry, "--") == 0)
			in_command = 1;
		else if ((value = value_of(entry, "cwd")))
			it.cwd = value;
		else if ((value = value_of(entry, "uid")))
			it.uid = (uid_t)strtoul(value, NULL, 10);
		else if ((value = value_of(entry, "gid")))
			it.gid = (gid_t)strtoul(value, NULL, 10);
		else if ((value = value_of(entry, "time")))
			it.time = value;
		else if ((value = value_of(entry, "seed")))
			it.seed = value;
		else if (value_of(entry, "env") && it.envc < MAX_ENV)
			it.env[it.envc++] = entry + strlen("env=");
	}
	return it;
}

/* A resumed guest would believe in the hour of its saving, and draw the random numbers of every other resumed one. */
static void wake_up(const struct request *it)
{
	if (it->time) {
		char *dot;
		struct timespec now = { .tv_sec = strtol(it->time, &dot, 10) };
		if (*dot == '.')
			now.tv_nsec = strtol(dot + 1, NULL, 10);
		if (clock_settime(CLOCK_REALTIME, &now))
			complain("clock");
	}
	if (it->seed) {
		struct {
			struct rand_pool_info info;
			char bytes[64];
		} pool = { .info = { .entropy_count = 256 } };
		pool.info.buf_size = (int)strnlen(it->seed, sizeof pool.bytes);
		memcpy(pool.info.buf, it->seed, (size_t)pool.info.buf_size);
		int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) || ioctl(fd, RNDRESEEDCRNG))
			complain("random pool");
		close(fd);
	}
}

static _Noreturn void become_command(struct request *it, const int out[2], const int err[2])
{
	setsid();
	int fd = open("/sys/fs/cgroup/cmd/cgroup.procs", O_WRONLY | O_CLOEXEC); /* only there when the agent is PID 1 */
	if (fd >= 0 && write(fd, "0", 1) < 0)
		complain("cgroup of the command");
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < it->envc; i++)
		putenv(it->env[i]);
	if (it->uid && (setgroups(1, &it->gid) || setresgid(it->gid, it->gid, it->gid) ||
			setresuid(it->uid, it->uid, it->uid)))
		_exit(126);
	if (chdir(it->cwd)) {
		dprintf(2, "vm-agent: cd %s: %m\n", it->cwd);
		_exit(126);
	}
	execvp(it->argv[0], it->argv);
	dprintf(2, "vm-agent: %s: %m\n", it->argv[0]);
	_exit(errno == ENOENT ? 127 : 126);
}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sends on what the command writes until it is dead and silent; its wait status is the answer. */
static int relay(pid_t command, int out, int err)
{
	static char chunk[CHUNK];
	struct pollfd streams[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	int answer = 0;
	long died_at = -1;
	for (;;) {
		int moved = 0;
		poll(streams, 2, 20);
		for (int i = 0; i < 2; i++) {
			if (streams[i].fd < 0 || !streams[i].revents)
				continue;
			ssize_t size = read(streams[i].fd, chunk, sizeof chunk);
			if (size > 0) {
				send_frame(i ? 'E' : 'O', chunk, (size_t)size);
				moved = 1;
			} else {
				close(streams[i].fd);
				streams[i].fd = -1;
			}
		}
		int status;
		for (pid_t gone; (gone = waitpid(-1, &status, WNOHANG)) > 0;) /* as PID 1: orphans too */
			if (gone == command) {
				answer = status;
				died_at = milliseconds();
			}
		if (died_at < 0)
			continue;
		if (streams[0].fd < 0 && streams[1].fd < 0)
			return answer;
		if (!moved && milliseconds() - died_at > GRACE_MS) {
			close(streams[0].fd);
			close(streams[1].fd);
			return answer;
		}
	}
}

static void serve(char *text, size_t size)
{
	struct request it = parse(text, size);
	wake_up(&it);
	if (it.argc == 0) {
		send_status(127);
		return;
	}
	int out[2], err[2];
	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) {
		send_status(126);
		return;
	}
	pid_t command = fork();
	if (command == 0)
		become_command(&it, out, err);
	close(out[1]);
	close(err[1]);
	int status = relay(command, out[0], err[0]);
	send_status(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(void)
{
	static char request[MAX_REQUEST];
	signal(SIGPIPE, SIG_IGN);
	if (getpid() == 1)
		become_pid1();
	make_nodes();
	for (int tries = 0; port < 0 && tries < 5000; tries++) {
		port = open("/dev/vport0p1", O_RDWR | O_CLOEXEC);
		if (port < 0)
			usleep(2000);
	}
	if (port < 0) {
		complain("/dev/vport0p1");
		return 1;
	}
	send_frame('R', NULL, 0);
	for (;;) {
		unsigned char head[5];
		read_all(port, (char *)head, sizeof head);
		uint32_t size = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
		if (head[0] != 'Q' || size >= sizeof request)
			return 1;
		read_all(port, request, size);
		request[size] = 0;
		serve(request, size);
	}
}
