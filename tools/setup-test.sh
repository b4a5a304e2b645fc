#!/bin/bash
# What `make test` needs beyond the build: programs that run inside sandboxes, oracles, linters, test users.
# Asks before it changes the machine (ASSUME_YES=1: does not ask); does nothing when all is there.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib-setup.sh
. tools/lib-setup.sh

tools/setup-build.sh

# Installing PostgreSQL would otherwise start a database server on this machine.
no_cluster=/etc/postgresql-common/createcluster.conf
if [ ! -e /usr/lib/postgresql ] && [ ! -e "$no_cluster" ] &&
    confirm "Set create_main_cluster=false in $no_cluster, so that no database server is started?"; then
    as_root mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
fi

packages=(
    shellcheck clang llvm libseccomp-dev musl-tools     # linters, coverage, oracle, static probes
    uidmap util-linux passwd procps iproute2            # identities
    zsh fish mandoc                                     # completions and manual pages are tried
    git make gcc tar gzip rsync findutils sqlite3 perl busybox-static  # what runs inside
    postgresql postgresql-contrib
)
command -v python3 >/dev/null && python3 -I -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
# Another packaging of node brings its own npm, and Debian's would replace it.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
need_packages "${packages[@]}"
# Sanitizers and libFuzzer come apart from clang, under the name of its version.
need_packages "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"

# A web server to be reloaded from inside; installed, it would be a service of this machine.
if [ ! -x .cache/nginx/usr/sbin/nginx ]; then
    mkdir -p .cache
    unpack_of_this_release .cache/nginx nginx
    # Ubuntu has the program in a package of its own.
    [ -x .cache/nginx/usr/sbin/nginx ] || unpack_of_this_release .cache/nginx nginx-core
fi

tools/setup-test-users.sh
