/* What the launcher's processes share: the environment of a launch, and the step handlers. */
#ifndef NUCLEUS_LAUNCH_H
#define NUCLEUS_LAUNCH_H

#include "plan.h"
#include "report.h"

#define MAX_SLOTS 80U /* those of a plan, and what is only held open */
#define MAX_CGROUPS 16U
#define MAX_MOUNTS 256U
#define MAX_USERNS 8U
#define MOST_RIGHTS 253U /* descriptors beside one message: the kernel's SCM_MAX_FD */

struct cgroup {
	int parent, directory, tasks;
	u8 version;
	bool created;
};

struct env {
	const struct plan *plan;
	const char *id; /* the container's id: the only unique thing a launch is told beside its descriptors */
	int control;    /* to the owner, or -1 */
	int slots[MAX_SLOTS];
	u32 slot_count;
	int plan_fd;

	enum actor actor;
	struct failure failure;
	u32 exit_flags;
	u64 started_ns;
	u64 slice_ns; /* the caller's, as long as it has to be given back, or 0 */

	/* monitor */
	int child_pidfd, child_pid, workload_pidfd;
	int status_read;   /* failure records of child and workload; end of file once both have executed */
	int child_socket;  /* monitor's end: one-letter go-aheads down, workload_end up */
	int signals;
	bool interrupted;  /* by a key of the caller's terminal */
	bool apart;        /* the workload is in no process group of the terminal: what that sends has to be handed on */
	u32 helpers;       /* id-map helpers still running */
	struct cgroup cgroups[MAX_CGROUPS];
	int userns[MAX_USERNS];
	u64 counters[COUNTERS];
	const struct step *supervise, *start_record;
	int devices;         /* the loaded program that names the devices, or -1 */
	int records;         /* the directory of the init record, or -1 */
	int host, host_root; /* where the monitor comes from, while it is in a prepared root */
	bool two_phase;    /* the owner says when to go on, and is told how far it is */
	int spare_pid;     /* who makes a network namespace for a later start, or -1 */
	int gate;          /* where that word comes from, or -1 */
	bool called_off;   /* the owner's word was not to start it */
	bool built;        /* the child has said that nothing is left to do but what the owner's word lets go */
	bool end_recorded; /* there is an exit record that somebody may be waiting for */

	/* child and workload */
	int status_write, parent_socket;
	int root;          /* the new root */
	int null;          /* its /dev/null, once a mask has needed it */
	int proc;          /* the host's, for whoever makes a root in a namespace of its own */
	bool foreign;      /* mounts that others have filled may stand below the new root */
	int ruleset;       /* Landlock */
	u64 bounding;      /* what may still be in the bounding set */
	bool terminal;     /* the caller has one */
	bool init_ready;   /* init has taken over */
	int peer;          /* child ↔ workload, until init has taken over */
	int network;       /* to, or from, the process that makes the network namespace */
	int network_pid;   /* that process, until it was waited for, or -1 */
	int interfaces;    /* its socket */
	int mounts[MAX_MOUNTS];
};

typedef int step_handler(const struct step *step, struct env *env);

/* Runs every step of one phase, in order; 0, or -errno with env->failure filled. */
int run_phase(struct env *env, enum phase phase);
/* The same, but goes on after a failure and returns the first one: what cleans up must not stop half-way. */
int run_phase_to_end(struct env *env, enum phase phase);

/* The one place where a failure leaves the child or the workload. */
_Noreturn void die(struct env *env);

int slot(const struct env *env, const struct value *field);
int open_in_root(const struct env *env, const char *path, int flags);
int write_all(int fd, const void *bytes, u64 size);
int write_file_at(int directory, const char *path, const void *bytes, u64 size);
int duplicate_over_range(int fd, int wanted);
u64 clock_ns(int clock);
/* Records and letters between the processes; a letter that comes at the wrong time is -EPROTO, the other side's end of
 * file -EOWNERDEAD: it has failed, and its own record says why. */
int send_record(int socket, const void *record, u64 size, const int *fds, u32 count);
long receive_record(int socket, void *record, u64 size, int *fds, u32 *count, int flags);
int send_letter(int socket, char letter, const int *fds, u32 count);
/* As many descriptors as that must lie beside it. */
int receive_letter(int socket, char letter, int *fds, u32 count);
int await_letter(struct env *env, char letter);
int tell_letter(struct env *env, char letter);
int await_peer(struct env *env, char letter, int *fds, u32 count);
int tell_peer(struct env *env, char letter, const int *fds, u32 count);

/* step_mounts.c */
int new_mount(const char *type, u64 attributes, const char *options, u64 size);
int cover(int from, int target, u64 attributes);
void look_for_terminal(struct env *env);
/* process_tree.c */
_Noreturn void workload(struct env *env);
/* step_network.c */
int collect_network(struct env *env);
u64 next_look_ns(struct env *env);
void end_spare_network(struct env *env);
/* slice.c */
void shorten_slice(struct env *env);
void restore_slice(struct env *env);
/* step_join.c: what the monitor does when the child of a join has started the process inside */
int adopt_joined(struct env *env);
/* step_exec.c: until init is in place, and closed to the workload */
int await_init(struct env *env);
/* step_console.c */
void set_apart(struct env *env);
int become_init(struct env *env);
/* step_identity.c */
int drop_bounding(struct env *env, u64 keep);
int drop_all_capabilities(struct env *env);
/* monitor.c */
const struct exit_record *monitor(struct env *env);
int kill_child(struct env *env);
void tell_owner(struct env *env, const struct message *message, int pidfd);
bool read_status(struct env *env, bool *at_end);
int start_ticks(int pid, u64 *ticks);
/* step_mounts.c */
void close_mounts(struct env *env);
const struct exit_record *ended(struct env *env);
int record_start(struct env *env);
int record_built(const struct env *env);
struct exit_record *the_exit(void);
int failure_code(const struct failure *failure);
void take_counters(struct env *env, struct exit_record *exit);

step_handler run_create_cgroup, run_set_cgroup, run_restrict_devices, run_load_devices, run_attach_devices, run_join_cgroup, run_enter_cgroup, run_unshare_cgroup, run_read_counter,
	run_remove_cgroup;
step_handler run_open_tree, run_make_userns, run_map_mount, run_hand_over_mounts, run_attach_mount, run_mount_filesystem, run_mask_file,
	run_mask_directory, run_protect_path, run_seal_mount;
step_handler run_make_root, run_make_directory, run_make_symlink, run_write_file, run_write_secret, run_write_sysctl,
	run_mount_proc, run_pivot_root,
	run_seal_root;
step_handler run_make_namespace, run_set_file_owner, run_freeze_root, run_hand_over_root, run_spawn_in_root,
	run_adopt_root, run_cover_file;
step_handler run_join_namespaces, run_spawn, run_run_helper, run_write_id_map, run_become_mapped, run_spawn_workload,
	run_await_host_mounts, run_announce_mounts, run_announce_built, run_announce_locked, run_await_release, run_await_proceed, run_detach_host,
	run_await_detached, run_await_root, run_become_init, run_spawn_inside, run_open_console;
step_handler run_let_hooks_run, run_await_hooks, run_run_hook, run_run_hook_inside;
step_handler run_supervise, run_write_init_record, run_write_start_record, run_write_exit_record, run_remove_tree,
	run_report_failure;
step_handler run_note, run_note_ended;
step_handler run_spawn_network, run_await_id_map, run_unshare_network, run_loopback_up, run_hand_over_network, run_enter_network,
	run_join_network, run_take_network, run_spare_network;
step_handler run_no_new_privileges, run_set_hostname, run_set_rlimit, run_set_umask, run_new_keyring;
step_handler run_drop_bounding, run_set_groups, run_set_ids, run_set_capabilities;
step_handler run_landlock_ruleset, run_landlock_path, run_landlock_port, run_landlock_restrict;
step_handler run_set_seccomp, run_attach_tracer, run_trace_seccomp, run_assert_locked, run_await_trace, run_exec;
_Noreturn void report_end(struct env *env, const struct step *step, const struct exit_record *exit);

#endif
