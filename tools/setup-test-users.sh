#!/bin/bash
# The two users that kernel tests run as: nucleus-test has subordinate ids, nucleus-nosub has none.
# `--remove` deletes both. Asks before it changes the machine (ASSUME_YES=1: does not ask).
set -eu
cd "$(dirname "$0")/.."

# shellcheck source=tools/lib-setup.sh
. tools/lib-setup.sh

if [ "${1:-}" = --remove ]; then
    for user in nucleus-test nucleus-nosub; do
        if getent passwd "$user" >/dev/null; then
            as_root userdel --remove "$user"
        fi
    done
    exit 0
fi

has_range() { # FILE USER
    grep -q "^$2:" "$1" 2>/dev/null
}

ready() {
    getent passwd nucleus-test >/dev/null && getent passwd nucleus-nosub >/dev/null &&
        has_range /etc/subuid nucleus-test && has_range /etc/subgid nucleus-test &&
        ! has_range /etc/subuid nucleus-nosub && ! has_range /etc/subgid nucleus-nosub
}

if ready; then
    exit 0
fi
if ! confirm "Create the users nucleus-test and nucleus-nosub for the kernel tests?"; then
    say "not created: the tests that run as these users will be reported as absent"
    exit 0
fi

for file in /etc/subuid /etc/subgid; do
    [ -e "$file" ] || as_root touch "$file"
done
for user in nucleus-test nucleus-nosub; do
    if ! getent passwd "$user" >/dev/null; then
        as_root useradd --create-home --shell /bin/bash -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 "$user"
    fi
    as_root sed -i "/^$user:/d" /etc/subuid /etc/subgid
done

# The first block of 65,536 ids behind every range already given away.
first=$(awk -F: 'BEGIN { next_free = 100000 }
    NF == 3 && $2 + $3 > next_free { next_free = $2 + $3 }
    END { printf "%d", next_free }' /etc/subuid /etc/subgid)
range=$first-$((first + 65535))
as_root usermod --add-subuids "$range" --add-subgids "$range" nucleus-test
ready
