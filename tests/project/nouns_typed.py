"""The nouns that a user types: each verb and each option, with the tests that prove it.  ✗ all others: `nouns.py`."""

TABLE = """
# Verbs
verb run
    kernel/test_life.py::test_exit_codes
verb explain
    kernel/test_nouns.py::test_explain_tells_the_plan_in_three_forms_and_runs_nothing
    plan/test_plan_explain.py::test_each_line_of_the_text_ends_with_the_option_it_comes_from
verb ps
    kernel/test_nouns.py::test_ps_and_inspect_print_json_for_programs
    kernel/test_life.py::test_ps_inspect_and_rm_tell_a_life
    unit/cli/test_tables.py::test_filters
    unit/cli/test_tables.py::test_templates
verb create
    kernel/test_lifecycle.py::test_from_created_to_gone_by_the_command_line
    kernel/test_lifecycle.py::test_what_cannot_be_created_leaves_nothing
verb start
    kernel/test_terminal.py::test_a_container_with_a_terminal_is_started_again_and_keeps_a_new_one
    kernel/test_restart.py::test_what_ran_in_the_foreground_runs_once_more_by_itself
    kernel/test_lifecycle.py::test_from_created_to_gone_by_the_command_line
    kernel/test_lifecycle.py::test_a_start_that_fails_says_why_with_the_code_of_run
verb stop
    kernel/test_lifecycle.py::test_stop_kills_what_does_not_end_and_returns_when_it_has_ended
    kernel/test_lifecycle.py::test_the_containers_own_signal_and_grace_hold
verb kill
    kernel/test_targets.py::test_a_signal_may_stand_behind_the_container
    kernel/test_lifecycle.py::test_run_detached_returns_once_the_command_was_executed
    kernel/test_lifecycle.py::test_what_waits_at_the_gate_can_be_stopped_killed_and_removed
verb restart
    kernel/test_restart.py::test_a_restart_is_the_same_container_once_more
    kernel/test_restart.py::test_a_restart_that_cannot_be_is_refused_before_anything_ends
    kernel/test_restart.py::test_a_restart_without_what_it_takes_from_the_host_is_refused_before_anything_ends
    unit/container/test_stored.py::test_a_spec_survives_its_file
verb wait
    kernel/test_lifecycle.py::test_wait_tells_the_exit_code_of_a_container_that_is_removed_at_its_end
    kernel/test_lifecycle.py::test_wait_gives_up_at_its_timeout
verb pause
    kernel/test_lifecycle.py::test_a_paused_container_does_nothing_until_it_goes_on
    kernel/test_lifecycle.py::test_without_a_cgroup_pause_says_what_is_missing
verb unpause
    kernel/test_lifecycle.py::test_a_paused_container_does_nothing_until_it_goes_on
verb rename
    kernel/test_lifecycle.py::test_a_new_name_is_the_only_one
verb state
    kernel/test_targets.py::test_words_of_other_tools_work
verb prune
    kernel/test_lifecycle.py::test_each_target_that_fails_is_told_and_the_others_are_done
states of a container, and what may be done in which
    unit/container/test_states.py::test_what_was_seen_says_the_state
    unit/container/test_states.py::test_a_verb_acts_in_its_states_and_refuses_in_all_others_with_a_remedy
a container by id, name or unique prefix, for its creator and root
    kernel/test_lifecycle.py::test_root_acts_on_the_containers_of_a_user_as_that_user
    unit/container/test_handle.py::test_id_name_and_unique_prefix_find_it_and_an_ambiguous_one_names_both
    unit/container/test_handle.py::test_it_is_for_its_creator_and_for_root
a recycled pid is never signalled
    kernel/test_lifecycle.py::test_strangers_with_the_pids_of_a_killed_container_are_never_signalled
    unit/container/test_handle.py::test_a_pidfd_is_of_the_process_that_was_recorded
several targets, each error told
    kernel/test_targets.py::test_a_filter_means_those_that_are_in_a_state_for_the_verb
    kernel/test_lifecycle.py::test_each_target_that_fails_is_told_and_the_others_are_done
many lives at once leave nothing, and no state is unreadable meanwhile
    kernel/test_lifecycle.py::test_two_hundred_lives_sixteen_at_a_time_leave_nothing
    kernel/test_lifecycle.py::test_many_lives_at_once_while_others_look
two commands that mean the same container at once
    kernel/test_at_once.py::test_of_two_starts_one_is_told_that_it_runs
    kernel/test_at_once.py::test_rm_waits_for_who_reads_the_end_without_a_lock_that_he_waits_for
    kernel/test_at_once.py::test_rm_ends_what_a_start_of_the_same_moment_takes_for_one_that_nobody_stopped
    kernel/test_at_once.py::test_what_was_removed_meanwhile_has_ended_and_cannot_be_started
the next command tells the truth after kill -9
    kernel/test_faults.py::test_a_fault_at_any_step_of_a_detached_container_is_told_by_the_next_command
    kernel/test_lifecycle.py::test_whoever_of_it_is_killed_the_next_command_tells_the_truth
    kernel/test_lifecycle.py::test_a_command_that_is_killed_while_it_creates_or_starts_leaves_a_state_that_is_true
verb inspect
    kernel/test_nouns.py::test_ps_and_inspect_print_json_for_programs
verb rm
    kernel/test_life.py::test_rm_by_force_ends_a_running_container
verb events
    kernel/test_events.py::test_the_verb_shows_chooses_and_follows
verb completion
    project/test_completion.py::test_bash_completes
    project/test_completion.py::test_fish_completes
    project/test_completion.py::test_zsh_completes
    project/test_completion.py::test_the_names_of_containers_are_answered_at_once
verb logs
    unit/cli/test_logs_verb.py::test_what_was_kept_is_printed
verb workspace
    kernel/test_workspace_copy.py::test_after_a_kill_the_changes_are_pending_and_can_be_seen_and_applied
    kernel/test_workspace_copy.py::test_a_killed_monitor_leaves_the_changes_pending_and_discard_throws_them_away
    kernel/test_workspace_copy.py::test_a_tree_without_end_is_refused_whole_and_can_be_thrown_away
verb stats
    kernel/test_live_limits.py::test_limits_and_counters_are_those_of_the_kernel
    unit/cgroup/test_cgroup_stats.py::test_v1_is_read_back_as_the_same_kind_of_numbers
verb top
    kernel/test_live_limits.py::test_top_shows_both_pids_of_every_process
verb update
    kernel/test_live_limits.py::test_limits_change_while_it_runs_and_are_recorded
    kernel/test_live_limits.py::test_less_than_is_in_use_is_refused_and_nobody_is_killed
    kernel/test_live_limits.py::test_a_changed_limit_holds
verb doctor
    kernel/test_nouns.py::test_doctor_judges_this_machine_in_words_and_as_json
    unit/host/test_host_doctor.py::test_the_command_s_answer_and_exit_status_agree
verb schema
    kernel/test_nouns.py::test_the_schema_is_that_of_the_documents_that_run
verb version
    unit/cli/test_main.py::test_the_version_is_one_line
verb help
    unit/cli/test_main.py::test_help_lists_every_verb

# Options
option --command
    kernel/test_nouns.py::test_a_document_runs_and_flags_replace_its_values
option --config
    kernel/test_nouns.py::test_a_document_runs_and_flags_replace_its_values
option --config-fd
    kernel/test_nouns.py::test_a_document_may_come_by_descriptor
option --root
    unit/state/test_store.py::test_the_state_root_is_made_for_its_user_alone
    unit/state/test_store.py::test_where_state_lives_when_nobody_says
option --log
    kernel/test_nouns.py::test_the_log_file_is_appended_to_and_private
option --log-format
    kernel/test_bad_input.py::test_the_same_answer_as_json_for_programs
option --events-jsonl
    kernel/test_events.py::test_events_go_to_a_file_and_to_a_descriptor_too
option --events-fd
    kernel/test_events.py::test_events_go_to_a_file_and_to_a_descriptor_too
option --audit-log
    kernel/test_events.py::test_the_audit_log_tells_who_started_what_and_holds_no_secret
option --name
    kernel/test_life.py::test_a_name_is_taken_once
option --label
    kernel/test_nouns.py::test_ps_and_inspect_print_json_for_programs
option --hostname
    kernel/test_isolation.py::test_the_host_name_is_the_container_s_own
option --service-mode
    unit/policy/test_modes.py::test_each_cell_of_the_table_is_what_it_says
    unit/policy/test_modes.py::test_a_default_changes_in_the_modes_that_say_so
    unit/policy/test_modes_fatal.py::test_a_fatal_row_ends_the_launch_exactly_where_the_table_says
    kernel/test_modes.py::test_a_step_that_fails_ends_the_launch_in_every_mode
    kernel/test_modes.py::test_only_mode_agent_executes_what_it_writes
    kernel/test_modes.py::test_only_production_hides_processes_that_it_may_not_trace
    kernel/test_modes.py::test_the_mounts_inside_are_those_of_the_plan_with_its_flags
    kernel/test_nouns.py::test_the_service_mode_is_in_the_record
option --strict-agent
    unit/policy/test_modes.py::test_the_other_names_of_strict_agent
    unit/policy/test_modes.py::test_strict_agent_does_not_make_production_milder
option --rm
    kernel/test_nouns.py::test_rm_leaves_nothing_and_without_it_the_record_stays
option --detach
    kernel/test_lifecycle.py::test_run_detached_returns_once_the_command_was_executed
option --detach-with
    unit/container/test_systemd.py::test_the_manager_is_the_callers_own
    unit/container/test_systemd.py::test_what_the_manager_is_asked
    kernel/test_systemd_units.py::test_a_container_lives_in_its_unit_from_create_to_gone
    kernel/test_systemd_units.py::test_what_the_unit_cannot_do_is_told_by_the_caller_and_leaves_nothing
    kernel/test_service_manager.py::test_what_the_manager_ends_is_told_as_it_was_and_may_be_started_again
    kernel/test_service_manager.py::test_ends_of_their_own_leave_no_unit_and_the_record_that_was_asked_for
    kernel/test_service_manager.py::test_limits_of_a_unit_change_it_freezes_and_its_oom_has_a_name
    kernel/test_service_manager.py::test_without_the_manager_the_log_is_in_files_and_the_cgroup_in_the_callers
option --log-max-size
    kernel/test_logs.py::test_size_and_number_of_its_files_are_chosen
option --log-max-files
    kernel/test_logs.py::test_size_and_number_of_its_files_are_chosen
option --timeout
    kernel/test_life.py::test_a_timeout_then_kills
option --stop-signal
    kernel/test_life.py::test_a_timeout_asks_first
option --stop-timeout
    kernel/test_life.py::test_a_timeout_then_kills
option --workdir
    kernel/test_files.py::test_the_workload_starts_in_its_workspace
option --user
    kernel/test_identity_inside.py::test_ids_are_those_that_were_asked_for
option --group
    kernel/test_identity_inside.py::test_ids_are_those_that_were_asked_for
option --additional-group
    kernel/test_identity_inside.py::test_ids_are_those_that_were_asked_for
option --env
    kernel/test_secrets.py::test_variables_come_from_flags_files_and_the_caller
option --env-file
    kernel/test_secrets.py::test_variables_come_from_flags_files_and_the_caller
option --env-fd
    kernel/test_secrets.py::test_variables_of_a_descriptor_are_in_no_record
option --ulimit
    kernel/test_limits.py::test_rlimits_are_those_asked_for
option --rootfs
    kernel/test_files.py::test_a_rootfs_replaces_usr_and_etc
    kernel/test_real_programs.py::test_a_job_prints_the_same_with_a_rootfs
option --rootfs-mode
    kernel/test_chosen_isolation.py::test_an_overlay_takes_what_is_written_and_the_rootfs_stays
    kernel/test_chosen_isolation.py::test_an_overlay_is_bounded_runs_no_setuid_program_and_hides_its_layers
option --agent-toolchain-rootfs
    kernel/test_agent_files.py::test_a_toolchain_is_the_root_wherever_it_lies
    unit/spec/test_agent_files.py::test_a_root_is_given_once
option --provider-config-ro
    kernel/test_agent_files.py::test_a_configuration_lies_in_the_home_directory_as_it_was_asked
    unit/spec/test_agent_files.py::test_where_a_configuration_lies_inside
    unit/container/test_agent_sources.py::test_no_whole_home_comes_in_as_a_configuration
option --provider-config-rw
    kernel/test_agent_files.py::test_a_configuration_lies_in_the_home_directory_as_it_was_asked
    kernel/test_agent_files.py::test_nothing_in_a_configuration_is_executed
option --toolchain
    kernel/test_files.py::test_a_toolchain_lies_at_its_own_path_and_runs
option --workspace
    kernel/test_files.py::test_what_the_workload_writes_belongs_to_the_workspace_s_owner
option --workspace-mode
    kernel/test_files.py::test_a_read_only_workspace_stays_as_it_is
    kernel/test_workspace_copy.py::test_changes_arrive_at_the_end_and_not_before
    kernel/test_workspace_copy.py::test_a_file_changed_on_both_sides_is_kept_beside_and_the_exit_code_is_125
    kernel/test_workspace_copy.py::test_links_made_inside_lead_nobody_out
    kernel/test_workspace_merge.py::test_any_two_histories_merge_as_promised
    kernel/test_workspace_merge.py::test_killed_before_any_step_and_done_again_it_comes_to_the_same_end
option --workspace-exec
    kernel/test_files.py::test_programs_of_the_workspace_run_unless_that_was_refused
option --allow-workspace-config
    kernel/test_files.py::test_files_that_configure_the_host_s_tools_are_read_only
    kernel/test_files.py::test_they_can_be_given_free
option --context
    kernel/test_files.py::test_a_copied_context_is_a_snapshot
option --context-mode
    kernel/test_files.py::test_a_bound_context_shows_the_directory_itself
option --verify-context-integrity
    kernel/test_chosen_isolation.py::test_a_verified_context_starts_and_one_that_changes_does_not
    unit/container/test_context.py::test_a_copy_that_differs_is_refused_with_the_names
option --volume
    kernel/test_files.py::test_a_volume_is_writable_unless_it_is_read_only
    kernel/test_files.py::test_the_host_s_own_places_never_come_in
option --tmpfs
    kernel/test_files.py::test_a_tmpfs_is_empty_writable_and_runs_programs
    kernel/test_files.py::test_a_read_only_tmpfs_is_read_only
option --secret
    kernel/test_secrets.py::test_a_secret_is_a_file_of_the_workload_alone
option --shm-size
    kernel/test_limits.py::test_file_systems_in_memory_have_their_size
option --memory
    kernel/test_limits.py::test_memory_beyond_the_limit_is_an_oom_by_name
option --memory-high
    unit/cgroup/test_cgroup_limits.py::test_every_write_names_its_option
    kernel/test_limits.py::test_on_v1_what_has_no_counterpart_is_refused_by_name
option --memory-swap
    kernel/test_nouns.py::test_swap_and_weight_are_the_kernel_s
option --cpus
    kernel/test_limits.py::test_half_a_processor_is_half_a_processor
option --cpu-weight
    kernel/test_nouns.py::test_swap_and_weight_are_the_kernel_s
option --pids
    kernel/test_limits.py::test_no_more_processes_than_were_allowed
option --io-limit
    kernel/test_nouns.py::test_a_device_is_throttled_by_the_kernel
option --cgroup-parent
    kernel/test_chosen_isolation.py::test_the_cgroup_is_made_below_the_chosen_parent
option --memlock
    kernel/test_limits.py::test_rlimits_are_those_asked_for
option --network
    kernel/test_isolation.py::test_network_host_is_the_host_s_and_keeps_its_abstract_sockets_out
option --allow-host-network
    kernel/test_isolation.py::test_network_host_is_the_host_s_and_keeps_its_abstract_sockets_out
option --userns
    kernel/test_identity_inside.py::test_userns_auto_maps_the_subordinate_ids
    kernel/test_identity_inside.py::test_userns_nomap_maps_one_id_alone
option --uidmap
    kernel/test_nouns.py::test_explicit_id_maps_are_those_inside
option --gidmap
    kernel/test_nouns.py::test_explicit_id_maps_are_those_inside
option --time-namespace
    kernel/test_chosen_isolation.py::test_a_time_namespace_is_the_container_s_own
option --disable-cgroup-namespace
    kernel/test_chosen_isolation.py::test_the_cgroup_namespace_may_be_the_caller_s
option --proc-rw
    kernel/test_chosen_isolation.py::test_proc_is_writable_for_its_owner_alone_and_only_when_asked
option --trust-level
    unit/policy/test_modes.py::test_an_untrusted_program_is_refused_with_what_would_run_it
option --runtime
    unit/policy/test_modes.py::test_a_runtime_of_a_later_release_is_refused_by_name
option --require-kernel-lockdown
    unit/policy/test_modes.py::test_a_kernel_is_locked_down_as_far_as_was_asked
    kernel/test_modes.py::test_a_kernel_that_is_not_locked_down_starts_nothing_that_asks_for_it
option --seccomp-profile
    kernel/test_refused_calls.py::test_the_profile_strict_refuses_them_too
    unit/policy/test_seccomp_oci.py::test_each_operator_compares_all_64_bits
    unit/policy/test_seccomp_oci.py::test_above_the_floor_a_call_passes_only_if_both_let_it
    kernel/test_policies.py::test_a_profile_from_a_file_decides_call_by_call
option --seccomp-profile-sha256
    kernel/test_policies.py::test_one_byte_of_another_file_stops_the_launch_before_anything_runs
option --context-sha256
    kernel/test_production.py::test_each_single_tampering_stops_it_before_any_of_its_code_runs
verb context
    kernel/test_production.py::test_each_single_tampering_stops_it_before_any_of_its_code_runs
option --secrets-fd
    kernel/test_handed_secrets.py::test_each_value_is_a_file_of_the_workload_alone
    kernel/test_handed_secrets.py::test_while_it_runs_the_values_stand_nowhere_else
    kernel/test_handed_secrets.py::test_the_buffer_of_the_host_program_is_overwritten
option --systemd-credential
    kernel/test_handed_secrets.py::test_a_credential_of_the_calling_service_comes_in
option --verify-rootfs-attestation
    kernel/test_attestation.py::test_one_byte_stops_the_launch_before_anything_runs
    unit/container/test_attestation.py::test_each_change_is_named_with_its_path
option --rootfs-attestation
    kernel/test_attestation.py::test_a_root_that_is_as_attested_starts
option --rootfs-attestation-sha256
    kernel/test_attestation.py::test_another_manifest_stops_the_launch
verb rootfs
    kernel/test_attestation.py::test_one_byte_stops_the_launch_before_anything_runs
    unit/container/test_attestation.py::test_no_bit_of_a_manifest_can_be_flipped_unseen
option --landlock-policy
    kernel/test_policies.py::test_a_landlock_policy_holds_where_the_mounts_would_let_it
    kernel/test_policies.py::test_a_landlock_policy_decides_about_ports
    unit/policy/test_landlock_policy.py::test_a_kernel_that_cannot_hold_a_policy_starts_nothing
option --landlock-policy-sha256
    kernel/test_policies.py::test_one_byte_of_another_file_stops_the_launch_before_anything_runs
option --caps-policy
    kernel/test_policies.py::test_a_capability_policy_keeps_what_it_names_and_nothing_else
    kernel/test_policies.py::test_who_enters_is_held_to_the_same_policies
option --caps-policy-sha256
    unit/container/test_policies.py::test_the_hash_is_that_of_the_bytes_that_are_parsed
option --seccomp-allow
    kernel/test_refused_calls.py::test_a_call_can_be_allowed_by_name
verb why
    kernel/test_trace.py::test_why_tells_what_was_refused_by_which_rule_and_what_allows_it
    kernel/test_trace.py::test_why_says_what_nobody_has_recorded
    kernel/test_trace.py::test_a_result_has_what_was_refused
    kernel/test_trace.py::test_what_a_limit_refused_is_in_the_result_too
    unit/policy/test_refusals.py::test_where_a_workload_may_write_is_what_its_options_say
verb learn
    kernel/test_learn.py::test_what_is_learned_runs_under_strict_agent_and_no_more
    kernel/test_learn.py::test_what_was_not_used_is_taken_away
    kernel/test_learn.py::test_a_command_that_fails_is_learned_as_far_as_it_went_and_that_is_said
    kernel/test_learn.py::test_what_cannot_be_learned_is_refused
    unit/policy/test_learned.py::test_rules_are_of_mounts_and_of_what_was_done_below_them
    unit/policy/test_learned.py::test_what_a_strict_mode_refuses_is_given_back_and_a_network_that_was_needed_is_told
verb seccomp
    kernel/test_learn.py::test_a_profile_of_five_runs_lets_git_pip_and_node_run_and_kills_a_ptrace
    unit/policy/test_seccomp_generate.py::test_a_profile_allows_what_was_recorded_and_kills_for_the_rest
    unit/policy/test_seccomp_generate.py::test_a_record_that_is_not_whole_makes_no_profile
    unit/policy/test_seccomp_generate.py::test_two_profiles_are_told_apart_call_by_call
    kernel/test_trace.py::test_a_profile_is_made_of_several_runs_and_compared
option --seccomp-mode
    kernel/test_trace.py::test_every_call_is_counted_that_of_every_thread_and_child_too
    kernel/test_trace_evasion.py::test_without_its_tracer_nothing_goes_on
    kernel/test_trace_evasion.py::test_a_signal_breaks_no_call_off_that_it_does_not_break_off_otherwise
option --seccomp-log
    kernel/test_trace.py::test_the_record_is_complete_when_the_run_has_ended
    kernel/test_trace.py::test_a_log_that_cannot_be_written_stops_the_launch
    kernel/test_trace.py::test_a_record_that_the_command_can_write_to_is_none
option --seccomp-log-denied
    kernel/test_trace.py::test_only_refusals_are_asked_about_where_only_they_are_recorded
    kernel/test_trace_evasion.py::test_where_nobody_hears_of_refusals_any_more_they_are_refused_all_the_same
option --allow-degraded-security
    kernel/test_mounts.py::test_a_landlock_given_up_is_named_in_the_result
    kernel/test_limits.py::test_a_limit_given_up_by_name_is_named_in_the_result
"""
