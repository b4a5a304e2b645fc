"""The part of the table of `nouns.py` that is about keeping containers up.  ✗ proves nothing itself."""

TABLE = """
# Supervision
supervisor.json: health, readiness, restarts, the last ends
    kernel/test_supervision.py::test_a_server_that_was_killed_inside_is_unhealthy_and_restarted
    kernel/test_supervision.py::test_when_the_supervisor_is_killed_the_container_ends_and_the_truth_is_told
    unit/container/test_health_and_restart.py::test_it_is_unhealthy_exactly_after_as_many_failures_in_a_row_as_it_may_have
    unit/container/test_health_and_restart.py::test_pauses_double_from_a_tenth_of_a_second_to_a_minute
    unit/container/test_health_and_restart.py::test_stop_wins_over_every_policy
signals to a supervisor
    kernel/test_supervision.py::test_signals_to_the_foreground_reach_the_command_and_end_its_restarts
a library call refuses what nobody would do
    kernel/test_supervision.py::test_a_call_that_waits_itself_refuses_what_nobody_would_do
a supervisor as the main process of its unit
    kernel/test_systemd_units.py::test_a_supervisor_is_what_its_unit_executes
    kernel/test_systemd_units.py::test_a_unit_applies_the_changes_of_a_copied_workspace
    kernel/test_service_manager.py::test_a_supervised_container_is_a_unit_whose_main_process_is_its_supervisor
copy-in-out of a container that goes on by itself
    kernel/test_workspace_detached.py::test_changes_of_a_detached_container_arrive_when_it_has_ended
    kernel/test_workspace_detached.py::test_when_the_supervisor_is_killed_the_changes_are_pending_and_workspace_goes_on
    kernel/test_workspace_detached.py::test_restarts_go_on_with_one_copy_which_is_applied_at_the_last_end
    kernel/test_workspace_detached.py::test_rm_with_force_throws_the_changes_away
copy-in-out of a container with a terminal
    kernel/test_workspace_detached.py::test_with_a_terminal_the_changes_are_applied_at_the_end
    kernel/test_workspace_detached.py::test_who_keeps_a_terminal_that_was_left_applies_the_changes
    kernel/test_workspace_detached.py::test_when_who_keeps_the_terminal_is_killed_the_changes_are_pending
option --cidfile
    kernel/test_supervision.py::test_pid_and_id_are_in_the_files_that_were_named
option --pid-file
    kernel/test_supervision.py::test_pid_and_id_are_in_the_files_that_were_named
option --restart
    kernel/test_supervision.py::test_restarts_end_with_their_number_with_success_and_with_kill
    kernel/test_supervision.py::test_a_start_that_fails_is_no_reason_to_start_again
    kernel/test_supervision.py::test_values_by_descriptor_are_there_in_every_life
option --health-cmd
    kernel/test_supervision.py::test_a_server_that_was_killed_inside_is_unhealthy_and_restarted
    kernel/test_supervision.py::test_a_check_that_cannot_be_executed_acts_at_once
option --health-interval
    kernel/test_supervision.py::test_a_paused_container_is_neither_well_nor_ill
option --health-timeout
    kernel/test_supervision.py::test_a_check_that_hangs_fails_and_leaves_no_process
option --health-retries
    kernel/test_supervision.py::test_what_happens_to_an_unhealthy_container_is_chosen
option --health-start-period
    kernel/test_supervision.py::test_a_server_that_was_killed_inside_is_unhealthy_and_restarted
option --health-on-failure
    kernel/test_supervision.py::test_what_happens_to_an_unhealthy_container_is_chosen
option --readiness-exec
    kernel/test_supervision.py::test_what_does_not_become_ready_is_removed
option --readiness-tcp
    kernel/test_supervision.py::test_readiness_by_a_port_of_its_own_network
option --readiness-sd-notify
    kernel/test_sd_notify.py::test_a_detached_container_is_ready_when_it_says_so
    kernel/test_sd_notify.py::test_a_stranger_who_speaks_to_the_socket_is_not_heard
option --hooks
    kernel/test_hooks.py::test_each_point_runs_where_and_when_it_has_to_with_the_state
    kernel/test_hooks.py::test_a_hook_before_the_command_that_does_not_succeed_ends_the_start
    kernel/test_hooks.py::test_whoever_is_killed_while_a_hook_runs_nothing_is_left
    kernel/test_supervision.py::test_hooks_run_at_their_points_with_the_state
    unit/container/test_hooks.py::test_a_hook_reads_the_state_and_has_the_environment_that_is_written
    unit/container/test_hooks.py::test_what_others_could_have_changed_is_not_run
    unit/container/test_hooks.py::test_what_is_no_list_of_hooks_is_refused
    unit/container/test_hooks.py::test_a_hook_that_hangs_is_killed_with_its_children
option --sd-notify
    kernel/test_sd_notify.py::test_ready_reaches_the_manager_from_a_network_of_its_own
    kernel/test_sd_notify.py::test_health_feeds_the_watchdog
    kernel/test_service_manager.py::test_a_service_has_started_when_what_runs_in_its_container_says_so
    kernel/test_sd_notify.py::test_without_a_manager_nobody_would_be_told_and_that_is_an_error
    unit/container/test_notify.py::test_what_is_the_supervisors_own_is_not_handed_on
    unit/container/test_notify.py::test_no_message_is_too_strange_to_be_read
    unit/container/test_notify.py::test_a_managers_socket_has_an_absolute_path_or_an_abstract_name
"""
