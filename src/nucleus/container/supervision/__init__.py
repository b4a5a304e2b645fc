"""What stays beside a container that asks for it: health, readiness, restarts, sd_notify.  ✗ all others."""
