/* What the files of the probe share: how a result is told, and the verbs. */
#ifndef NUCLEUS_PROBE_H
#define NUCLEUS_PROBE_H

/* One line of output: the number of the running verb, a tab, the text. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* "OK" for 0 and above, else the name of the errno; `result` is what a call of the C library returned. */
const char *outcome(long result);
const char *errno_name(int number);

/* The result of a function in a process of its own: its return value as errno, or the signal that ended it. */
int in_child(int (*function)(void *), void *argument, char *text, unsigned size);

struct verb {
	const char *name;
	int arguments; /* how many it needs; -1: any number */
	void (*run)(int count, char **words);
};

extern const struct verb file_verbs[], call_verbs[], resource_verbs[], socket_verbs[];

#endif
