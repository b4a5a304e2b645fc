#!/bin/bash
# What building needs: a C compiler, binutils and the environment .venv. Quick when all is there.
set -eu
cd "$(dirname "$0")/.."
if ! command -v cc >/dev/null || ! command -v strip >/dev/null || [ ! -e /usr/include/linux/landlock.h ]; then
    # shellcheck source=tools/lib-setup.sh
    . tools/lib-setup.sh
    need_packages gcc libc6-dev linux-libc-dev binutils
fi
tools/setup-venv.sh
