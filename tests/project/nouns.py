"""What Nucleus consists of, noun by noun, and the tests that prove each.

`test_nouns.py` demands that each test exists, that no option and no verb is missing, and `unproven` says which
nouns stayed without a test that ran.  ✗ proves nothing itself.

A line that begins in the first column is a group or a noun; the tests of a noun are indented below it, as
FOLDER/FILE::FUNCTION below tests/.  `option --flag` and `verb NAME` are nouns as well.
"""

from __future__ import annotations

import ast
from pathlib import Path

from nouns_inside import TABLE as INSIDE

TESTS = Path(__file__).resolve().parents[1]

TABLE = """
# Repository
command nucleus, by any path, isolated
    project/test_isolated_entry.py::test_the_command_works_through_a_symbolic_link_and_by_a_relative_path
    project/test_isolated_entry.py::test_modules_in_the_working_directory_are_not_imported
    project/test_isolated_entry.py::test_a_document_is_decoded_without_a_hostile_msgspec
modules of the command from one file
    unit/imports/test_imports.py::test_a_module_says_of_itself_what_the_ordinary_finder_says
    unit/imports/test_imports.py::test_a_source_that_changed_is_imported_by_itself
    unit/imports/test_imports.py::test_a_file_that_is_cut_short_or_damaged_anywhere_is_passed_over
    unit/imports/test_imports.py::test_nothing_is_written_where_somebody_else_could_exchange_it
    project/test_precompiled.py::test_the_first_start_writes_one_file_and_no_module_needs_its_own
    project/test_precompiled.py::test_a_changed_source_is_what_runs_and_what_a_traceback_shows
README with its two commands, licence, changelog, contributing, security
    project/test_shape.py::test_the_two_commands_stand_on_the_first_screen_of_the_readme
    project/test_shape.py::test_the_pages_that_a_newcomer_looks_for_are_there
make demo
    project/test_nouns.py::test_the_demo_prints_its_result_and_the_isolation_that_was_in_force
make test asks before it changes the machine
    project/test_nouns.py::test_the_setup_asks_before_it_changes_the_machine
make test runs every identity and skips nothing
    project/test_test_runner.py::test_every_identity_that_is_promised_has_its_suite
    project/test_test_runner.py::test_errors_count_as_failures_and_skips_are_named
make check
    project/test_linters.py::test_ruff_finds_nothing
    project/test_linters.py::test_the_types_hold
    project/test_linters.py::test_generated_files_are_fresh
make bench
    bench/test_compare.py::test_every_contestant_runs_once_a_round
make fuzz
    launcher/test_decoder.py::test_five_million_guided_mutations_find_nothing_and_reach_the_branches
make soak
    project/test_nouns.py::test_a_short_soak_leaves_nothing_over
continuous integration
    project/test_nouns.py::test_continuous_integration_runs_check_and_test
wheel with the launcher, installed without a compiler
    project/test_wheel.py::test_the_wheel_holds_the_whole_package_and_nothing_else
    project/test_wheel.py::test_the_installed_command_runs
x86-64, and aarch64 in the tables
    plan/test_compile.py::test_both_architectures_have_their_filters

# Spec
one declaration per option: flags, documents, schema, help
    unit/spec/test_options.py::test_every_field_of_the_spec_is_set_by_an_option_and_the_other_way_round
    unit/spec/test_options.py::test_the_schema_covers_every_option
    unit/cli/test_main.py::test_help_of_run_lists_every_flag_within_100_columns
    project/test_linters.py::test_generated_files_are_fresh
launch document in TOML and JSON
    kernel/test_nouns.py::test_a_document_runs_and_flags_replace_its_values
    unit/spec/test_documents.py::test_json_has_lines_too
unknown keys by path, file and line, all at once
    kernel/test_bad_input.py::test_all_problems_of_a_document_and_its_flags_are_told_at_once
    unit/spec/test_documents.py::test_all_problems_of_a_document_are_told_with_file_line_and_path
options of later releases refused by name
    unit/spec/test_options.py::test_a_known_name_that_is_no_option_is_refused_by_name
    kernel/test_bad_input.py::test_bad_input_is_answered_with_its_place_and_a_remedy

# Launcher
plan format, one encoding each
    launcher/test_plan_dump.py::test_the_raw_text_is_the_same_in_both_languages
    plan/test_compile.py::test_any_valid_request_comes_to_a_plan_that_is_whole_safe_and_survives_its_encoding
decoder rules
    launcher/test_decoder.py::test_a_changed_plan_is_accepted_by_both_or_by_none
    launcher/test_decoder.py::test_a_plan_cut_short_at_any_byte_is_refused
actors and phases
    launcher/test_recording.py::test_each_process_runs_its_steps_in_the_order_of_the_plan
    launcher/test_recording.py::test_taking_the_mapped_id_is_the_first_act_after_the_map
a failing step becomes a sentence with a remedy
    unit/launch/test_report.py::test_every_failure_of_every_step_has_a_sentence_a_place_and_a_remedy
    unit/launch/test_report.py::test_every_field_lies_where_the_launcher_puts_it
kernel seams: real, recording, fault
    launcher/test_recording.py::test_every_call_that_fails_ends_in_a_record_of_its_step_and_leaves_no_descriptor
    kernel/test_faults.py::test_a_fault_at_any_step_leaves_nothing_behind
targets resolved inside the new root
    kernel/test_mounts.py::test_a_directory_that_somebody_sends_is_a_dead_end
    kernel/test_nouns.py::test_targets_are_made_however_deep_they_lie
join plan
    plan/test_compile.py::test_who_joins_is_locked_down_by_the_same_steps_as_who_runs

# Sandbox
user namespace, root: a disjoint range
    kernel/test_identity_inside.py::test_the_id_maps_are_those_of_the_record
    kernel/test_identity_inside.py::test_two_containers_of_root_never_share_host_ids
user namespace, ordinary user
    kernel/test_identity_inside.py::test_the_workload_of_a_user_is_that_user_on_the_host
    plan/test_compile.py::test_the_kernel_takes_every_id_map_of_a_plan
pid, mount, net, uts, ipc and cgroup namespaces
    kernel/test_isolation.py::test_every_namespace_is_a_new_one
    kernel/test_isolation.py::test_no_process_of_the_host_is_visible
    kernel/test_isolation.py::test_no_system_v_object_of_the_host_is_visible
    kernel/test_isolation.py::test_the_cgroup_shown_is_the_root_of_a_namespace
network none: loopback up
    kernel/test_isolation.py::test_the_only_interface_is_a_loopback_that_is_up
network host: its opt-in and guards
    kernel/test_isolation.py::test_network_host_is_the_host_s_and_keeps_its_abstract_sockets_out
private root from the host's /usr and a generated /etc
    kernel/test_files.py::test_usr_is_the_host_s_and_read_only
    kernel/test_mounts.py::test_nothing_of_the_host_s_accounts_is_in_etc
    kernel/test_mounts.py::test_every_mount_is_one_of_the_plan_s
/dev for every identity
    kernel/test_files.py::test_the_devices_are_the_few_that_programs_need
/dev/pts
    kernel/test_nouns.py::test_terminals_can_be_made_inside
masked /proc
    kernel/test_mounts.py::test_files_of_proc_that_tell_of_the_host_are_empty_or_closed
/tmp with mode 1777, private home
    kernel/test_nouns.py::test_tmp_is_everybody_s_and_home_is_private
workspace ownership
    kernel/test_files.py::test_what_the_workload_writes_belongs_to_the_workspace_s_owner
    kernel/test_files.py::test_what_the_workload_of_a_user_writes_is_that_user_s
    kernel/test_files.py::test_existing_files_can_be_changed_renamed_and_removed
context copy with its exclusions
    kernel/test_files.py::test_a_copied_context_has_no_links_repositories_or_credentials
secrets absent from argv, environment, plan, state and log
    kernel/test_secrets.py::test_while_it_runs_a_secret_stands_nowhere_else
    kernel/test_secrets.py::test_a_secret_is_not_in_the_plan
    plan/test_compile.py::test_a_secret_is_in_memory_read_only_and_for_the_workload_alone
limits on cgroup v2, v1 and hybrid
    unit/cgroup/test_cgroup_limits.py::test_each_limit_on_both_hierarchies
    kernel/test_limits.py::test_memory_beyond_the_limit_is_an_oom_by_name
    kernel/test_limits.py::test_on_v2_the_whole_container_is_killed
    kernel/test_limits.py::test_on_v1_what_has_no_counterpart_is_refused_by_name
    kernel/test_limits.py::test_half_a_processor_is_half_a_processor
    kernel/test_limits.py::test_no_more_processes_than_were_allowed
rlimits
    kernel/test_limits.py::test_rlimits_are_those_asked_for
capabilities all dropped
    kernel/test_identity_inside.py::test_all_five_capability_sets_are_empty
Landlock with every right of the kernel's ABI
    plan/test_compile.py::test_landlock_handles_every_right_of_the_kernels_abi_and_grants_no_other
seccomp last, profiles default and strict
    kernel/test_identity_inside.py::test_no_new_privs_is_set_and_a_seccomp_filter_is_in_force
    kernel/test_refused_calls.py::test_calls_that_reach_beyond_the_sandbox_are_refused
    kernel/test_refused_calls.py::test_the_profile_strict_refuses_them_too
degraded security by name
    plan/test_compile.py::test_a_layer_that_was_given_up_by_name_is_the_only_one_that_is_missing
    kernel/test_mounts.py::test_a_landlock_given_up_is_named_in_the_result
init confined
    kernel/test_isolation.py::test_init_tells_nothing_about_itself
    kernel/test_refused_calls.py::test_no_signal_of_the_workload_reaches_init
exit codes 124, 125, 126, 127, 128+n
    kernel/test_life.py::test_exit_codes
signals forwarded, terminal stop and resume
    kernel/test_life.py::test_a_signal_to_the_monitor_ends_the_workload
    kernel/test_life.py::test_stop_and_continue_reach_the_workload
    kernel/test_life.py::test_ctrl_z_stops_and_fg_continues
real programs under the profile default
    kernel/test_real_programs.py::test_a_job_prints_inside_what_it_prints_outside

# State
one directory per container, with record and exit record
    unit/state/test_record.py::test_any_record_survives_its_file
    kernel/test_nouns.py::test_rm_leaves_nothing_and_without_it_the_record_stays
atomic names
    unit/state/test_store.py::test_of_many_takers_of_a_dead_name_exactly_one_gets_it
    kernel/test_life.py::test_a_name_is_taken_once
the sweep
    unit/container/test_sweep.py::test_a_killed_owner_gets_an_exit_record_that_says_so
    unit/state/test_store.py::test_sweeps_and_new_containers_at_the_same_time_lose_none_of_them

# Records
logs of a detached container: bounded files, nobody waits, readable after any death
    launcher/test_log_writer.py::test_both_streams_come_whole_in_order_and_binary
    launcher/test_log_writer.py::test_files_are_rotated_and_their_number_and_size_bounded
    launcher/test_log_writer.py::test_a_log_cut_short_at_any_byte_gives_the_frames_before_it
    launcher/test_log_writer.py::test_killed_it_leaves_what_it_had_read
    launcher/test_log_writer.py::test_a_signal_does_not_end_it
    kernel/test_logs.py::test_a_full_disk_makes_nobody_wait_and_the_loss_is_counted
logs in the journal, where systemd keeps them
    unit/observe/test_journal.py::test_lines_of_the_container_come_and_those_of_systemd_do_not
    unit/observe/test_journal.py::test_following_ends_with_the_container
logs by the library
    kernel/test_logs.py::test_the_library_reads_it_too
logs are read across rotation, and followed to the end
    kernel/test_logs.py::test_a_detached_container_is_read_while_it_runs_and_after_its_end
    kernel/test_logs.py::test_more_than_is_kept_makes_nobody_wait_and_leaves_the_end
    kernel/test_logs.py::test_a_log_writer_that_was_killed_leaves_what_it_had
    unit/observe/test_log_lines.py::test_rotation_while_reading_hides_nothing_and_doubles_nothing
    unit/observe/test_log_lines.py::test_following_ends_with_the_writer_and_misses_nothing
events: created, started, oom, stopped, removed, of every container
    kernel/test_events.py::test_a_life_is_told_from_its_making_to_its_end
    kernel/test_events.py::test_running_out_of_memory_is_an_event_of_its_own
    kernel/test_events.py::test_a_monitor_that_was_killed_is_told_by_the_next_command
    kernel/test_events.py::test_a_reader_that_is_gone_or_asleep_changes_nothing
    unit/observe/test_events.py::test_the_log_is_bounded_and_nobody_s_line_is_mixed
events of what verbs do
    kernel/test_logs.py::test_the_life_of_a_detached_container_is_told
OpenTelemetry spans (extra otel)
    unit/observe/test_otel.py::test_a_life_is_a_trace_with_the_id_of_the_container
    unit/observe/test_otel.py::test_a_collector_gets_the_lives_that_were_chosen
    unit/observe/test_otel.py::test_without_the_extra_the_remedy_is_told
audit log without secrets
    kernel/test_events.py::test_the_audit_log_tells_who_started_what_and_holds_no_secret
    unit/observe/test_redaction.py::test_no_byte_of_a_secret_with_a_name_is_shown
    unit/observe/test_redaction.py::test_no_byte_of_a_password_in_its_place_is_shown
    unit/observe/test_redaction.py::test_a_token_is_known_by_its_look
page of every event and record, from the types
    project/test_linters.py::test_generated_files_are_fresh
    unit/observe/test_events.py::test_every_type_and_every_field_has_a_meaning
manual pages, from the tables of verbs and options
    project/test_manual.py::test_the_page_of_run_has_every_option
    project/test_manual.py::test_every_page_is_well_formed
    project/test_wheel.py::test_manual_pages_and_completions_lie_where_programs_look_for_them

# Around
bad input answered with a place and a remedy
    kernel/test_bad_input.py::test_bad_input_is_answered_with_its_place_and_a_remedy
    kernel/test_bad_input.py::test_a_document_with_one_mistake_is_refused_by_file_and_line
doctor: AppArmor, masked /proc, subordinate ids, delegation
    unit/host/test_host_doctor.py::test_a_loaded_apparmor_profile_is_seen_by_the_real_attempt
    unit/host/test_host_probe.py::test_a_masked_proc_is_seen
    unit/host/test_host_doctor.py::test_a_user_without_subordinate_ids_runs_with_less
    unit/host/test_host_doctor.py::test_undelegated_cgroups_degrade_and_tell_how
library: nucleus.run and Sandbox.once
    kernel/test_nouns.py::test_the_library_runs_a_command_and_gives_its_result
    kernel/test_nouns.py::test_the_library_raises_only_when_there_was_no_sandbox
    unit/sandbox/test_sandbox.py::test_a_keyword_that_is_wrong_is_told_by_its_path
virtual machine, kernels 6.1 and 6.12, root and user
    vm/test_harness.py::test_a_run_passes_only_when_every_test_of_it_did
    vm/test_harness.py::test_a_guest_that_cannot_be_had_fails_the_run

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
    kernel/test_lifecycle.py::test_from_created_to_gone_by_the_command_line
    kernel/test_lifecycle.py::test_a_start_that_fails_says_why_with_the_code_of_run
verb stop
    kernel/test_lifecycle.py::test_stop_kills_what_does_not_end_and_returns_when_it_has_ended
    kernel/test_lifecycle.py::test_the_containers_own_signal_and_grace_hold
verb kill
    kernel/test_lifecycle.py::test_run_detached_returns_once_the_command_was_executed
    kernel/test_lifecycle.py::test_what_waits_at_the_gate_can_be_stopped_killed_and_removed
verb restart
    kernel/test_lifecycle.py::test_a_restart_is_the_same_container_once_more
    kernel/test_lifecycle.py::test_a_restart_that_cannot_be_is_refused_before_anything_ends
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
    kernel/test_lifecycle.py::test_words_of_other_tools_work
verb prune
    kernel/test_lifecycle.py::test_each_target_that_fails_is_told_and_the_others_are_done
states of a container, and what may be done in which
    unit/container/test_states.py::test_what_was_seen_says_the_state
    unit/container/test_states.py::test_a_verb_acts_in_its_states_and_refuses_in_all_others_with_a_remedy
a container by id, name or unique prefix, for its creator and root
    unit/container/test_handle.py::test_id_name_and_unique_prefix_find_it_and_an_ambiguous_one_names_both
    unit/container/test_handle.py::test_it_is_for_its_creator_and_for_root
a recycled pid is never signalled
    kernel/test_lifecycle.py::test_strangers_with_the_pids_of_a_killed_container_are_never_signalled
    unit/container/test_handle.py::test_a_pidfd_is_of_the_process_that_was_recorded
several targets, each error told
    kernel/test_lifecycle.py::test_each_target_that_fails_is_told_and_the_others_are_done
many lives at once leave nothing, and no state is unreadable meanwhile
    kernel/test_lifecycle.py::test_two_hundred_lives_sixteen_at_a_time_leave_nothing
    kernel/test_lifecycle.py::test_many_lives_at_once_while_others_look
the next command tells the truth after kill -9
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
    kernel/test_nouns.py::test_the_service_mode_of_this_release_is_in_the_record
option --rm
    kernel/test_nouns.py::test_rm_leaves_nothing_and_without_it_the_record_stays
option --detach
    kernel/test_lifecycle.py::test_run_detached_returns_once_the_command_was_executed
option --detach-with
    unit/container/test_systemd.py::test_the_manager_is_the_callers_own
    unit/container/test_systemd.py::test_what_the_manager_is_asked
    kernel/test_systemd_units.py::test_a_container_lives_in_its_unit_from_create_to_gone
    kernel/test_systemd_units.py::test_what_the_unit_cannot_do_is_told_by_the_caller_and_leaves_nothing
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
option --toolchain
    kernel/test_files.py::test_a_toolchain_lies_at_its_own_path_and_runs
option --workspace
    kernel/test_files.py::test_what_the_workload_writes_belongs_to_the_workspace_s_owner
option --workspace-mode
    kernel/test_files.py::test_a_read_only_workspace_stays_as_it_is
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
option --seccomp-profile
    kernel/test_refused_calls.py::test_the_profile_strict_refuses_them_too
option --seccomp-allow
    kernel/test_refused_calls.py::test_a_call_can_be_allowed_by_name
option --allow-degraded-security
    kernel/test_mounts.py::test_a_landlock_given_up_is_named_in_the_result
    kernel/test_limits.py::test_a_limit_given_up_by_name_is_named_in_the_result
"""


def nouns() -> dict[str, tuple[str, ...]]:
    """Noun → its tests."""
    found: dict[str, list[str]] = {}
    noun = ""
    for line in (TABLE + INSIDE).splitlines():
        if line.startswith("    "):
            found[noun].append(line.strip())
        elif line and not line.startswith("#"):
            noun = line
            found[noun] = []
    return {name: tuple(tests) for name, tests in found.items()}


def functions(file: str) -> set[str]:
    """The test functions of a file below tests/."""
    path = TESTS / file
    if not path.is_file():
        return set()
    body = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {n.name for n in body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}


def unproven(passed: set[str]) -> list[str]:
    """Nouns that have a test which did not pass anywhere; `passed` holds FOLDER/FILE.py::FUNCTION."""
    return [f"{noun}: {t}" for noun, tests in nouns().items() for t in tests if t not in passed]
