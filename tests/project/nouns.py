"""What Nucleus consists of, noun by noun, and the tests that prove each.

`test_nouns.py` demands that each test exists, that no option and no verb is missing, and `unproven` says which
nouns stayed without a test that ran.  ✗ proves nothing itself.

A line that begins in the first column is a group or a noun; the tests of a noun are indented below it, as
FOLDER/FILE::FUNCTION below tests/.  `option --flag` and `verb NAME`, in `nouns_typed.py`, are nouns as well.
"""

from __future__ import annotations

import ast
from pathlib import Path

from nouns_inside import TABLE as INSIDE
from nouns_supervision import TABLE as SUPERVISION
from nouns_typed import TABLE as TYPED

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
    bench/test_compare.py::test_a_turn_is_several_starts_and_what_settles_does_not_count
make fuzz
    launcher/test_decoder.py::test_five_million_guided_mutations_find_nothing_and_reach_the_branches
make soak
    kernel/test_kills.py::test_after_any_kill_the_next_command_tells_the_truth_and_nothing_is_left
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
    unit/cli/test_main.py::test_help_of_run_lists_every_flag
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
prepared root, shared by many containers
    plan/test_plan_prepared.py::test_every_step_of_the_whole_stands_in_one_of_the_parts
    plan/test_plan_prepared.py::test_the_shared_part_knows_no_name_no_command_no_volume_and_no_secret
    unit/container/test_roots.py::test_a_replaced_source_makes_another_root_once_the_directory_is_still
    unit/container/test_template.py::test_with_a_prepared_root_a_start_takes_its_descriptor_along
    kernel/test_prepared_roots.py::test_a_start_in_a_prepared_root_looks_like_any_other
    kernel/test_prepared_roots.py::test_not_even_root_inside_with_every_capability_changes_the_shared_root
    kernel/test_prepared_roots.py::test_what_one_container_mounts_no_other_sees
    kernel/test_prepared_roots.py::test_nobody_but_the_host_program_has_the_root_of_all
    kernel/test_prepared_roots.py::test_a_root_that_shows_what_is_no_more_is_not_used
    kernel/test_prepared_faults.py::test_where_a_root_cannot_be_prepared_every_start_makes_its_own
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
    unit/observe/test_journal.py::test_a_journal_that_is_closed_to_this_user_is_no_empty_log
    unit/container/test_systemd.py::test_a_user_who_could_not_read_the_log_gets_files_unless_he_demands_a_unit
    kernel/test_service_manager.py::test_a_unit_has_the_container_its_limits_and_its_log_until_it_is_removed
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
doctor: a locked kernel
    unit/host/test_host_doctor.py::test_a_locked_kernel_is_told_and_stops_nobody
    kernel/test_locked_kernel.py::test_doctor_tells_that_the_kernel_is_locked
    kernel/test_locked_kernel.py::test_every_layer_holds_and_a_detached_container_lives
virtual machine, kernels 6.1 and 6.12, root and user; 6.12 locked
    vm/test_harness.py::test_a_run_passes_only_when_every_test_of_it_did
    vm/test_harness.py::test_a_guest_that_cannot_be_had_fails_the_run
    vm/test_harness.py::test_which_guests_run

"""


def nouns() -> dict[str, tuple[str, ...]]:
    """Noun → its tests."""
    found: dict[str, list[str]] = {}
    noun = ""
    for line in (TABLE + INSIDE + SUPERVISION + TYPED).splitlines():
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
