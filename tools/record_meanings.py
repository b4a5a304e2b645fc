"""What each field of each record means, for docs/reference/records.md.  The fields themselves come from the types.

`gen_records_page.py` refuses a field without a meaning, and a meaning without a field.
"""

from __future__ import annotations

CONTAINER = {
    "version": "of this form; a record of another one is not read",
    "id": "32 hexadecimal digits",
    "name": "unique among those that exist, or empty",
    "labels": "what `--label` gave",
    "command": "the program and its arguments",
    "created_ns": "when it was made, nanoseconds since the epoch",
    "creator_uid": "who made it; he and root may act on it",
    "boot_id": "the boot in which it was made: pids of another one mean nothing",
    "pid_namespace": "inode of the pid namespace in which its pids are counted",
    "remove": "`--rm`: the record goes when it ends",
    "mode": "the service mode",
    "network": "the network mode",
    "rootless": "made by an ordinary user",
    "uid": "user id inside",
    "gid": "group id inside",
    "uid_map": "lines of inside, outside, count (user_namespaces(7))",
    "gid_map": "the same for groups",
    "capabilities": "what the command holds; empty without --caps-policy",
    "limits": "what was asked for; null where nothing was",
    "pids_by": "what keeps the limit of processes: cgroup, rlimit or none",
    "degraded": "layers that were given up by name",
    "cgroups": "its own directories, one for each hierarchy",
    "spec_hash": "SHA-256 of `spec`",
    "config_hash": "of the file of services that it belongs to; empty",
    "spec": "all options, without the values of environment variables",
    "devices_by": "what refuses devices beside the mounts: bpf (cgroup v2), controller (v1) or none",
    "gated": "it was created to wait for `start`",
    "detached": "empty in the foreground; `none` in a session of its own; else the systemd unit",
}
SHOWN = {
    "status": "creating, created, running, paused, restarting, stopped, dead or unknown",
    "pid": "of its first process, as the host sees it; 0 when it has ended",
    "started_ns": "when its command was executed; 0 before",
    "finished_ns": "when it ended; 0 before",
    "exit_code": "null before the end",
    "signal": "the signal that ended it, or 0; null before the end",
    "reason": "of the end: exit, signal, oom, timeout, health, owner-lost, host-kill or failed; empty before",
    "failure": "the sentence of the step that failed, where the reason is failed",
    "oom_kills": "processes that the kernel killed for memory",
    "memory_peak_bytes": "the most memory; 0 where it was not counted, and before the end",
    "ready": "its readiness probe has succeeded, or it has none and runs; null without a supervisor",
    "health": "starting, healthy or unhealthy; empty without a health check",
    "health_failures": "checks that failed in a row",
    "health_error": "why the last one did",
    "restarts": "starts after the first by its supervisor",
    "ends": "the last ends of a supervised container, the newest last",
}
SUPERVISION = {
    "version": "of this form; a record of another one is not read",
    "phase": "created, running, pausing before the next start, or ended: no start follows",
    "pid": "the supervisor's",
    "ticks": "start time of that process, in clock ticks since boot",
    "health": "starting, healthy or unhealthy; empty without a health check, and between two lives",
    "failures": "health checks that failed in a row",
    "health_error": "why the last health check failed",
    "ready": "its readiness probe has succeeded, or it runs and has none",
    "ready_error": "why readiness was given up",
    "restarts": "starts after the first",
    "next_start_ns": "when the pause is over; 0 while it runs",
    "ends": "its last ten ends, the newest last: exit_code, signal, reason, error, started_ns, finished_ns",
}
INIT = {
    "monitor_pid": "the process that waits for the end, outside",
    "init_pid": "the container's pid 1, as its creator sees it",
    "monitor_ticks": "start time of that process, in clock ticks since boot: the pid may be another's by now",
    "init_ticks": "the same of pid 1",
    "building": "1 until all of a container that waits for its start is there",
}
STARTED = {"started_ns": "when the command was executed, nanoseconds since the epoch"}
EXIT = {
    "exit_code": "what the command line returns",
    "signal": "the signal that ended the command, or 0",
    "flags": "bits: 1 out of memory, 2 timeout, 4 owner lost, 8 a step failed, 16 something could not be removed, "
    "32 ended from outside",
    "started_ns": "when the launch began, nanoseconds since the epoch",
    "finished_ns": "when the end was seen",
    "oom_kills": "processes that the kernel killed for memory",
    "memory_peak_bytes": "the most memory of the cgroup; 0 where it was not counted",
    "cpu_us": "processor time of the cgroup; 0 where it was not counted",
    "pids_denied": "processes that the limit refused",
    "user_us": "processor time of the command and its children in user mode",
    "system_us": "the same in the kernel",
    "max_rss_bytes": "the largest process's memory",
    "failure": "the step that failed, or null",
}
FAILURE = {
    "actor": "0 monitor, 1 child, 2 workload",
    "opcode": "which kind of step, by its number in the plan format",
    "step": "its place in the plan",
    "errno": "the kernel's answer",
    "detail": "what the step adds, such as an exit status",
}
LOG_LINE = {
    "time_ns": "when its first byte was read, nanoseconds since the epoch",
    "stream": "stdout, stderr; or dropped: `data` says how much was lost because there was no room",
    "data": "the bytes, with the new line where one was written",
    "begins": "whether it is the beginning of a line: what is not written at once comes in parts",
}
AUDIT = {
    "time_ns": "when, nanoseconds since the epoch",
    "type": "one of the types below",
    "id": "the container's id",
    "name": "its name",
    "caller_uid": "the real user id of who did it",
    "caller_pid": "the process that did it",
    "command": "the command, secrets left out",
    "environment": "names of the variables that were given; never a value",
    "sources": "what of the host it gets, SOURCE:TARGET",
    "limits": "what was asked for",
    "security": "how it is confined, see below",
    "spec_hash": "of all options, as in `state.json`",
    "plan_hash": "SHA-256 of the launch plan: equal ones confine equally",
}
SECURITY = {
    "seccomp": "the profile, or none",
    "landlock": "whether Landlock is in force",
    "capabilities": "what the command holds",
    "no_new_privs": "whether no program can give it more",
    "rootless": "whether an ordinary user made it",
    "network": "the network mode",
    "uid": "user id inside",
    "gid": "group id inside",
    "degraded": "layers that were given up by name",
    "pids_by": "what keeps the limit of processes",
}
