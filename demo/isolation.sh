# Run inside the sandbox by demo/run: prints what this process may and may not do.
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }

# The attempts below would succeed for a privileged process: outside of a sandbox none of them is made.
if [ "$(status CapEff)$(status CapBnd)" != 00000000000000000000000000000000 ] || [ "$(status NoNewPrivs)" != 1 ]; then
    echo 'not in a sandbox: this process holds capabilities or may gain them; nothing was tried' >&2
    exit 1
fi

row() { printf '  %-34s %s\n' "$1" "$2"; }
failed=0
refused() { # DESCRIPTION COMMAND...
    description=$1
    shift
    if "$@" >/dev/null 2>&1; then
        row "$description" ALLOWED
        failed=1
    else
        row "$description" refused
    fi
}

row 'user and group' "$(id -u):$(id -g)"
row 'id map (inside, outside, count)' "$(tr -s ' ' </proc/self/uid_map | tr '\n' ';')"
row 'processes visible' "$(find /proc -maxdepth 1 -name '[0-9]*' | wc -l)"
row 'network interfaces' "$(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')"
row 'capabilities' "effective $(status CapEff), bounding $(status CapBnd)"
row 'no_new_privs' "$(status NoNewPrivs)"
row 'seccomp mode (2: filter)' "$(status Seccomp)"
row 'host name' "$(cat /proc/sys/kernel/hostname)"
refused 'write below /usr' touch /usr/nucleus-demo
refused 'read the password hashes' cat /etc/shadow
refused 'make a user namespace' unshare --user true
own=$(mktemp -d)
refused 'mount a file system' mount -t tmpfs none "$own"
exit "$failed"
