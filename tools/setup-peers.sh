#!/bin/bash
# Installs the sandboxes that `make bench` compares with: bubblewrap and runc from this machine's release; crun and
# runsc of newer ones, unpacked into a cache folder (PEERS_CACHE), since the release's own do not start everywhere.
# Idempotent; asks before it installs (ASSUME_YES=1: does not). Ends by running `true` in each.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/lib-setup.sh
. "$here/lib-setup.sh"
cache=${PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nucleus-peers}

# Against sid's C library, under its own loader: patched in, because crun executes itself a second time.
fetch_crun() {
    local to=$cache/crun work=$cache/crun.tmp
    [ ! -e "$to" ] || return 0
    say "fetching crun"
    unpack_packages "$work" sid crun libc6 libsystemd0 libseccomp2 libcap2 libblake3-0 libjson-c5
    local libraries
    libraries=$(find "$work" -type d -name x86_64-linux-gnu -printf '%p\n' | sed "s#^$work#$to#" | paste -sd:)
    local loader
    loader=$(find "$work" -name 'ld-linux-x86-64.so.2' -path '*x86_64-linux-gnu*' | head -n 1)
    patchelf --set-interpreter "$to${loader#"$work"}" --force-rpath --set-rpath "$libraries" "$work/usr/bin/crun"
    mv "$work" "$to"
}

fetch_runsc() {
    local to=$cache/runsc work=$cache/runsc.tmp
    [ ! -e "$to" ] || return 0
    say "fetching runsc"
    unpack_packages "$work" bookworm-backports runsc
    mv "$work" "$to"
}

need_packages bubblewrap runc busybox-static klibc-utils patchelf python3
mkdir -p "$cache"
rm -rf "$cache"/*.tmp
fetch_crun
fetch_runsc
cd "$here/.."
PEERS_CACHE=$cache exec .venv/bin/python3 -m bench.compare --check
