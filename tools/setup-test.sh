#!/bin/bash
# What `make test` needs beyond the build: programs that run inside sandboxes, oracles, linters, test users.
# Asks before it changes the machine (ASSUME_YES=1: does not ask); does nothing when all is there.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib-setup.sh
. tools/lib-setup.sh

tools/setup-build.sh

# Its installation would start a database server on this machine.
if [ ! -e /usr/lib/postgresql ] && [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi

packages=(
    shellcheck clang libseccomp-dev musl-tools          # linters, oracle, static probes
    uidmap util-linux passwd procps iproute2            # identities
    git make gcc tar gzip rsync findutils sqlite3 perl  # what runs inside
    postgresql postgresql-contrib
)
command -v python3 >/dev/null && python3 -I -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
# Another packaging of node brings its own npm, and Debian's would replace it.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
need_packages "${packages[@]}"

tools/setup-test-users.sh
