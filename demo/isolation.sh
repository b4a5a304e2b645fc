# Run inside the sandbox by demo/run: prints what this process may and may not do.
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
refused() { # DESCRIPTION COMMAND...
    description=$1
    shift
    if "$@" >/dev/null 2>&1; then answer='ALLOWED'; else answer='refused'; fi
    printf '  %-34s %s\n' "$description" "$answer"
}

printf '  %-34s %s\n' \
    'user and group' "$(id -u):$(id -g)" \
    'on the host (first, host, count)' "$(tr -s ' ' </proc/self/uid_map | tr '\n' ';')" \
    'processes visible' "$(ls /proc | grep -c '^[0-9]')" \
    'network interfaces' "$(sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')" \
    'capabilities (effective, bounding)' "$(status CapEff) $(status CapBnd)" \
    'no_new_privs' "$(status NoNewPrivs)" \
    'seccomp mode (2: filter)' "$(status Seccomp)" \
    'host name' "$(cat /proc/sys/kernel/hostname)"
refused 'write to /usr' touch /usr/nucleus-demo
refused 'read the password hashes' cat /etc/shadow
refused 'a new user namespace' unshare --user true
refused 'mount a file system' mount -t tmpfs none /tmp
