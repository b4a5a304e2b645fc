"""Control groups, v1 and v2: where a container's cgroup goes, what is written into it.  ✗ launch, state."""
