"""The part of the table of `nouns.py` that is about entering a container and its terminals.  ✗ proves nothing itself."""

TABLE = """
# Entering a container
verb exec
    kernel/test_exec.py::test_who_enters_is_confined_as_the_workload_is
    kernel/test_exec.py::test_exit_codes_of_what_ran_inside
    kernel/test_exec.py::test_a_command_may_go_on_by_itself_and_ends_with_the_container
    kernel/test_exec.py::test_what_goes_on_by_itself_tells_first_that_it_cannot_be_executed
servers are reloaded and stopped from inside
    kernel/test_exec_servers.py::test_a_database_server_is_reloaded_and_stopped_from_inside
entering a container: one lockdown, no file of the host, no wait of the host's tree
    plan/test_compile.py::test_who_joins_is_locked_down_by_the_same_steps_as_who_runs
    launcher/test_recording.py::test_who_joins_brings_nothing_of_the_host_along
    kernel/test_exec.py::test_a_workload_that_watches_for_newcomers_catches_nothing_of_the_host
    kernel/test_exec.py::test_nobody_enters_before_the_hosts_tree_is_out_of_reach
verb attach
    kernel/test_terminal.py::test_a_window_may_be_left_and_opened_again
    kernel/test_terminal.py::test_a_detached_container_keeps_a_terminal_for_whoever_attaches
    kernel/test_terminal.py::test_what_a_container_without_a_terminal_prints_can_be_watched
option --tty
    kernel/test_terminal.py::test_the_terminal_inside_is_a_real_one_with_job_control
option --interactive
    kernel/test_terminal.py::test_the_terminal_inside_is_a_real_one_with_job_control
option --console-socket
    kernel/test_terminal.py::test_the_terminal_is_sent_to_whoever_listens
"""
