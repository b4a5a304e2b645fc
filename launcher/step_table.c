/* opcode → handler, and the loop that runs a phase: the only caller of handlers. */
#include "launch.h"

static step_handler *const handlers[MAX_OPCODE] = {
	[STEP_CREATE_CGROUP] = run_create_cgroup,
	[STEP_SET_CGROUP] = run_set_cgroup,
	[STEP_RESTRICT_DEVICES] = run_restrict_devices,
	[STEP_LOAD_DEVICES] = run_load_devices,
	[STEP_ATTACH_DEVICES] = run_attach_devices,
	[STEP_OPEN_TREE] = run_open_tree,
	[STEP_JOIN_NAMESPACES] = run_join_namespaces,
	[STEP_JOIN_CGROUP] = run_join_cgroup,
	[STEP_SPAWN] = run_spawn,
	[STEP_RUN_HELPER] = run_run_helper,
	[STEP_WRITE_ID_MAP] = run_write_id_map,
	[STEP_MAKE_USERNS] = run_make_userns,
	[STEP_MAP_MOUNT] = run_map_mount,
	[STEP_HAND_OVER_MOUNTS] = run_hand_over_mounts,
	[STEP_WRITE_INIT_RECORD] = run_write_init_record,
	[STEP_AWAIT_PROCEED] = run_await_proceed,
	[STEP_SUPERVISE] = run_supervise,
	[STEP_NOTE_CREATED] = run_note,
	[STEP_NOTE_STARTED] = run_note,
	[STEP_NOTE_ENDED] = run_note_ended,
	[STEP_WRITE_START_RECORD] = run_write_start_record,
	[STEP_READ_COUNTER] = run_read_counter,
	[STEP_REMOVE_CGROUP] = run_remove_cgroup,
	[STEP_WRITE_EXIT_RECORD] = run_write_exit_record,
	[STEP_REMOVE_TREE] = run_remove_tree,
	[STEP_REPORT_FAILURE] = run_report_failure,
	[STEP_NO_NEW_PRIVILEGES] = run_no_new_privileges,
	[STEP_SET_HOSTNAME] = run_set_hostname,
	[STEP_LOOPBACK_UP] = run_loopback_up,
	[STEP_BECOME_MAPPED] = run_become_mapped,
	[STEP_ENTER_CGROUP] = run_enter_cgroup,
	[STEP_UNSHARE_CGROUP] = run_unshare_cgroup,
	[STEP_OPEN_TREE_INSIDE] = run_open_tree,
	[STEP_MAKE_ROOT] = run_make_root,
	[STEP_AWAIT_HOST_MOUNTS] = run_await_host_mounts,
	[STEP_ANNOUNCE_MOUNTS] = run_announce_mounts,
	[STEP_ATTACH_MOUNT] = run_attach_mount,
	[STEP_MOUNT_FILESYSTEM] = run_mount_filesystem,
	[STEP_MAKE_DIRECTORY] = run_make_directory,
	[STEP_MAKE_SYMLINK] = run_make_symlink,
	[STEP_WRITE_FILE] = run_write_file,
	[STEP_WRITE_SECRET] = run_write_secret,
	[STEP_WRITE_SYSCTL] = run_write_sysctl,
	[STEP_MASK_FILE] = run_mask_file,
	[STEP_MASK_DIRECTORY] = run_mask_directory,
	[STEP_PROTECT_PATH] = run_protect_path,
	[STEP_SEAL_MOUNT] = run_seal_mount,
	[STEP_MOUNT_PROC] = run_mount_proc,
	[STEP_AWAIT_DETACHED] = run_await_detached,
	[STEP_TAKE_NETWORK] = run_take_network,
	[STEP_SPARE_NETWORK] = run_spare_network,
	[STEP_SPAWN_NETWORK] = run_spawn_network,
	[STEP_ENTER_NETWORK] = run_enter_network,
	[STEP_AWAIT_ID_MAP] = run_await_id_map,
	[STEP_HAND_OVER_NETWORK] = run_hand_over_network,
	[STEP_JOIN_NETWORK] = run_join_network,
	[STEP_BECOME_INIT] = run_become_init,
	[STEP_SPAWN_INSIDE] = run_spawn_inside,
	[STEP_OPEN_CONSOLE] = run_open_console,
	[STEP_UNSHARE_NETWORK] = run_unshare_network,
	[STEP_DETACH_HOST] = run_detach_host,
	[STEP_AWAIT_ROOT] = run_await_root,
	[STEP_PIVOT_ROOT] = run_pivot_root,
	[STEP_SEAL_ROOT] = run_seal_root,
	[STEP_ANNOUNCE_BUILT] = run_announce_built,
	[STEP_ANNOUNCE_LOCKED] = run_announce_locked,
	[STEP_LET_HOOKS_RUN] = run_let_hooks_run,
	[STEP_AWAIT_HOOKS] = run_await_hooks,
	[STEP_RUN_HOOK] = run_run_hook,
	[STEP_RUN_HOOK_INSIDE] = run_run_hook_inside,
	[STEP_AWAIT_RELEASE] = run_await_release,
	[STEP_SPAWN_WORKLOAD] = run_spawn_workload,
	[STEP_SET_RLIMIT] = run_set_rlimit,
	[STEP_SET_UMASK] = run_set_umask,
	[STEP_NEW_KEYRING] = run_new_keyring,
	[STEP_DROP_BOUNDING] = run_drop_bounding,
	[STEP_SET_GROUPS] = run_set_groups,
	[STEP_SET_IDS] = run_set_ids,
	[STEP_SET_CAPABILITIES] = run_set_capabilities,
	[STEP_LANDLOCK_RULESET] = run_landlock_ruleset,
	[STEP_LANDLOCK_PATH] = run_landlock_path,
	[STEP_LANDLOCK_PORT] = run_landlock_port,
	[STEP_LANDLOCK_RESTRICT] = run_landlock_restrict,
	[STEP_SET_SECCOMP] = run_set_seccomp,
	[STEP_TRACE_SECCOMP] = run_trace_seccomp,
	[STEP_ATTACH_TRACER] = run_attach_tracer,
	[STEP_AWAIT_TRACE] = run_await_trace,
	[STEP_ASSERT_LOCKED] = run_assert_locked,
	[STEP_EXEC] = run_exec,
	[STEP_MAKE_NAMESPACE] = run_make_namespace,
	[STEP_SET_FILE_OWNER] = run_set_file_owner,
	[STEP_FREEZE_ROOT] = run_freeze_root,
	[STEP_HAND_OVER_ROOT] = run_hand_over_root,
	[STEP_SPAWN_IN_ROOT] = run_spawn_in_root,
	[STEP_ADOPT_ROOT] = run_adopt_root,
	[STEP_COVER_FILE] = run_cover_file,
};

static int run_step(struct env *env, const struct step *step)
{
	int result = seam_before_step(env, step->index);

	if (!result)
		result = handlers[step->opcode](step, env);
	if (result < 0 && !env->failure.magic) {
		u64 detail = env->failure.detail;

		env->failure = (struct failure){ .magic = FAILURE_MAGIC, .actor = (u16)env->actor,
						 .opcode = (u16)step->opcode, .step = step->index,
						 .error = -result, .detail = detail };
	}
	return result < 0 ? result : 0;
}

int run_phase(struct env *env, enum phase phase)
{
	u64 cursor = 0;
	struct step step;

	while (plan_next_of(env->plan, phase, &cursor, &step)) {
		int result = run_step(env, &step);

		if (result)
			return result;
	}
	return 0;
}

int run_phase_to_end(struct env *env, enum phase phase)
{
	u64 cursor = 0;
	struct step step;
	int first = 0;

	while (plan_next_of(env->plan, phase, &cursor, &step)) {
		int result = run_step(env, &step);

		if (!result)
			continue;
		env->exit_flags |= EXIT_DIRTY; /* what could not be removed or recorded, the sweep finds */
		if (!first)
			first = result;
	}
	return first;
}
