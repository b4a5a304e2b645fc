#!/bin/sh
# Installs what the virtual machine of the tests is built from and run with. Idempotent; asks first (ASSUME_YES=1: not).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/lib-setup.sh
. "$here/lib-setup.sh"

[ "$(uname -m)" = x86_64 ] || die "the test guest is built for x86-64 only"
need_packages mmdebstrap qemu-system-x86 qemu-utils kmod cpio busybox-static e2fsprogs gcc libc6-dev xz-utils
