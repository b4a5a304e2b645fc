/* Verbs about paths: what can be opened, written, executed, listed, given modes.  The tree as the workload sees it. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_read(int count, char **words)
{
	char byte;
	int fd = open(words[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	(void)count;
	say("%s", outcome(fd < 0 ? -1 : read(fd, &byte, 1)));
	if (fd >= 0)
		close(fd);
}

/* All lines of a file; one line with the errno when it cannot be read. */
static void run_cat(int count, char **words)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got;
	FILE *file = fopen(words[0], "re");

	(void)count;
	if (!file) {
		say("%s", errno_name(errno));
		return;
	}
	while ((got = getline(&line, &room, file)) > 0) {
		if (line[got - 1] == '\n')
			line[got - 1] = 0;
		say("%s", line);
	}
	free(line);
	fclose(file);
}

static void run_write(int count, char **words)
{
	int fd = open(words[0], O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	(void)count;
	say("%s", outcome(fd < 0 ? -1 : write(fd, "\n", 1)));
	if (fd >= 0)
		close(fd);
}

static void run_create(int count, char **words)
{
	int fd = open(words[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	(void)count;
	say("%s", outcome(fd));
	if (fd >= 0)
		close(fd);
}

static void run_mkdir(int count, char **words)
{
	(void)count;
	say("%s", outcome(mkdir(words[0], 0755)));
}

static void run_unlink(int count, char **words)
{
	(void)count;
	say("%s", outcome(unlink(words[0])));
}

static void run_rename(int count, char **words)
{
	(void)count;
	say("%s", outcome(rename(words[0], words[1])));
}

static void run_chown(int count, char **words)
{
	(void)count;
	say("%s", outcome(lchown(words[0], (uid_t)atoi(words[1]), (gid_t)atoi(words[1]))));
}

static int execute(void *path)
{
	char *argv[] = { path, NULL }, *none[] = { NULL };
	int null = open("/dev/null", O_RDWR);

	dup2(null, 1), dup2(null, 2);
	execve(path, argv, none);
	return errno;
}

/* OK when the kernel began to execute it: then the pipe of in_child is closed without an answer. */
static void run_exec(int count, char **words)
{
	int pipes[2], error = 0;
	pid_t pid;

	(void)count;
	if (pipe2(pipes, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		say("%s", errno_name(errno));
		return;
	}
	if (pid == 0) {
		error = execute(words[0]);
		_exit(write(pipes[1], &error, sizeof(error)) > 0);
	}
	close(pipes[1]);
	if (read(pipes[0], &error, sizeof(error)) < 0)
		error = errno;
	close(pipes[0]);
	waitpid(pid, NULL, 0);
	say("%s", error ? errno_name(error) : "OK");
}

static void run_stat(int count, char **words)
{
	struct stat status;

	(void)count;
	if (lstat(words[0], &status) < 0)
		say("%s", errno_name(errno));
	else
		say("%o %u %u %lld", (unsigned)status.st_mode, (unsigned)status.st_uid, (unsigned)status.st_gid,
		    (long long)status.st_size);
}

static void run_list(int count, char **words)
{
	DIR *directory = opendir(words[0]);
	struct dirent *entry;

	(void)count;
	if (!directory) {
		say("%s", errno_name(errno));
		return;
	}
	while ((entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			say("%s", entry->d_name);
	closedir(directory);
}

/* ---- the tree ------------------------------------------------------------------------------------------------------- */

#define MAX_DEPTH 12
#define MAX_ENTRIES 20000

static int skipped(const char *path, int count, char **skips)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(path, skips[i]))
			return 1;
	return 0;
}

/* Prints "KIND READABLE PATH" of everything below a directory: d directory, f file, l link, o other; y or n. */
static void walk(const char *directory, int depth, int count, char **skips, int *left)
{
	DIR *handle = opendir(*directory ? directory : "/");
	struct dirent *entry;

	if (!handle)
		return;
	while ((entry = readdir(handle)) && *left > 0) {
		char path[4096];
		struct stat status;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (skipped(path, count, skips) || lstat(path, &status) < 0)
			continue;
		--*left;
		char kind = S_ISDIR(status.st_mode) ? 'd' : S_ISREG(status.st_mode) ? 'f' : S_ISLNK(status.st_mode) ? 'l' : 'o';
		int fd = kind == 'l' ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		say("%c %c %s", kind, fd < 0 ? 'n' : 'y', path);
		if (fd >= 0)
			close(fd);
		if (kind == 'd' && depth < MAX_DEPTH)
			walk(path, depth + 1, count, skips, left);
	}
	closedir(handle);
}

static void run_walk(int count, char **words)
{
	int left = MAX_ENTRIES;

	walk("", 0, count, words, &left);
	say("%s", left ? "end" : "too-many");
}

/* ---- set-id bits, every way to make them ---------------------------------------------------------------------------- */

static void set_id_line(const char *way, const char *path, long result)
{
	int error = errno;
	struct stat status = { 0 };

	if (lstat(path, &status) < 0)
		status.st_mode = 0;
	say("%s %s %s", way, result < 0 ? errno_name(error) : "OK", status.st_mode & 06000 ? "SET" : "clear");
}

/* In the directory that is given, on files of its own. */
static void run_set_id(int count, char **words)
{
	struct {
		unsigned long long flags, mode, resolve;
	} how = { O_WRONLY | O_CREAT, 04755, 0 };
	int fd;

	(void)count;
	if (chdir(words[0]) < 0 || (fd = open("plain", O_RDWR | O_CREAT, 0755)) < 0) {
		say("%s", errno_name(errno));
		return;
	}
	set_id_line("chmod-setuid", "plain", syscall(SYS_chmod, "plain", 04755));
	set_id_line("chmod-setgid", "plain", syscall(SYS_chmod, "plain", 02755));
	set_id_line("fchmod", "plain", syscall(SYS_fchmod, fd, 06755));
	set_id_line("fchmodat", "plain", syscall(SYS_fchmodat, AT_FDCWD, "plain", 04755));
	set_id_line("fchmodat2", "plain", syscall(452, AT_FDCWD, "plain", 04755, 0));
	set_id_line("open", "opened", syscall(SYS_open, "opened", O_WRONLY | O_CREAT, 04755));
	set_id_line("openat", "opened-at", syscall(SYS_openat, AT_FDCWD, "opened-at", O_WRONLY | O_CREAT, 04755));
	set_id_line("openat2", "opened-2", syscall(437, AT_FDCWD, "opened-2", &how, sizeof(how)));
	set_id_line("creat", "created", syscall(SYS_creat, "created", 04755));
	set_id_line("mknod", "node", syscall(SYS_mknod, "node", S_IFREG | 04755, 0));
	set_id_line("mknodat", "node-at", syscall(SYS_mknodat, AT_FDCWD, "node-at", S_IFREG | 04755, 0));
	close(fd);
}

const struct verb file_verbs[] = {
	{ "read", 1, run_read },     { "cat", 1, run_cat },	  { "write", 1, run_write }, { "create", 1, run_create },
	{ "mkdir", 1, run_mkdir },   { "unlink", 1, run_unlink }, { "exec", 1, run_exec },   { "stat", 1, run_stat },
	{ "list", 1, run_list },     { "walk", -1, run_walk },	  { "rename", 2, run_rename }, { "chown", 2, run_chown },
	{ "set-id", 1, run_set_id }, { NULL, 0, NULL },
};
