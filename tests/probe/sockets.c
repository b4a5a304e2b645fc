/* Verbs about sockets: which families can be had, and whom one can reach. */
#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct {
	const char *name;
	int family, type, protocol;
} families[] = {
	{ "unix", 1, SOCK_STREAM, 0 },	 { "inet", 2, SOCK_STREAM, 0 },	      { "inet6", 10, SOCK_STREAM, 0 },
	{ "inet-udp", 2, SOCK_DGRAM, 0 }, { "route", 16, SOCK_RAW, 0 },	      { "inet-raw", 2, SOCK_RAW, 255 },
	{ "mptcp", 2, SOCK_STREAM, 262 }, { "sctp", 2, SOCK_STREAM, 132 },    { "packet", 17, SOCK_RAW, 0 },
	{ "sock-packet", 2, 10, 0 },	  { "vsock", 40, SOCK_STREAM, 0 },    { "alg", 38, 5, 0 },
	{ "audit", 16, SOCK_RAW, 9 },	  { "netfilter", 16, SOCK_RAW, 12 },  { "can", 29, SOCK_RAW, 1 },
	{ "bluetooth", 31, SOCK_RAW, 1 }, { "key", 15, SOCK_RAW, 2 },	      { "xdp", 44, SOCK_RAW, 0 },
	{ "rds", 21, 5, 0 },		  { "tipc", 30, SOCK_STREAM, 0 },
};

/* "NAME RESULT" of each family. */
static void run_families(int count, char **words)
{
	(void)count, (void)words;
	for (unsigned i = 0; i < sizeof(families) / sizeof(*families); i++) {
		int fd = socket(families[i].family, families[i].type | SOCK_CLOEXEC, families[i].protocol);

		say("%s %s", families[i].name, outcome(fd));
		if (fd >= 0)
			close(fd);
	}
}

static void run_connect_tcp(int count, char **words)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(words[1])) };
	struct timeval wait = { 60, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)count;
	if (fd >= 0) {
		inet_pton(AF_INET, words[0], &to.sin_addr);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	}
	say("%s", outcome(fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof(to))));
	if (fd >= 0)
		close(fd);
}

/* A path, or an abstract name when the first letter is '@'. */
static void run_connect_unix(int count, char **words)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = strlen(words[0]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)count;
	if (length >= sizeof(to.sun_path))
		length = sizeof(to.sun_path) - 1;
	memcpy(to.sun_path, words[0], length);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0;
	say("%s", outcome(fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to,
						(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length))));
	if (fd >= 0)
		close(fd);
}

/* "NAME FLAGS" of each interface, by number: no table of /proc or /sys is asked. */
static void run_interfaces(int count, char **words)
{
	struct if_nameindex *all = if_nameindex();

	(void)count, (void)words;
	for (struct if_nameindex *one = all; one && one->if_index; one++)
		say("%s", one->if_name);
	if (all)
		if_freenameindex(all);
	else
		say("%s", errno_name(errno));
}

/* Binds the address, connects to itself: the loopback interface is up. */
static void run_loopback(int count, char **words)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	int failed = bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 1) < 0 ||
		     getsockname(server, (struct sockaddr *)&at, &length) < 0 ||
		     connect(client, (struct sockaddr *)&at, sizeof(at)) < 0;

	(void)count, (void)words;
	say("%s", outcome(failed ? -1 : 0));
	close(server), close(client);
}

/* Takes a descriptor that somebody sends over the socket on standard input: its number. */
static void run_receive(int count, char **words)
{
	char byte;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd = -1;

	(void)count, (void)words;
	if (recvmsg(0, &message, 0) < 0 || !CMSG_FIRSTHDR(&message)) {
		say("%s", errno_name(errno));
		return;
	}
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	say("%d", fd);
}

const struct verb socket_verbs[] = {
	{ "families", 0, run_families },     { "connect-tcp", 2, run_connect_tcp }, { "connect-unix", 1, run_connect_unix },
	{ "interfaces", 0, run_interfaces }, { "loopback", 0, run_loopback },	    { "receive", 0, run_receive },
	{ NULL, 0, NULL },
};
