#!/bin/bash
# fetch-emulator.sh CACHE: CACHE/emulator {qemu-system-x86_64, bios/}, from the backports of bookworm.
# QEMU 7.2 corrupts about every second boot of a 6.12 guest (in its translator, TCG); newer ones do not. The newer one
# is only unpacked: the installed qemu-system-x86 supplies its libraries. The caller holds the cache's lock.
set -euo pipefail
cache=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/lib-setup.sh
. "$here/../../tools/lib-setup.sh"

work=$cache/emulator.tmp
rm -rf "$work"
mkdir -p "$work/bios"
say "[vm] fetching a newer qemu"
unpack_packages "$work/x" bookworm-backports qemu-system-x86 qemu-system-data seabios
cp -L "$work"/x/usr/share/qemu/{kvmvapic.bin,linuxboot.bin,linuxboot_dma.bin,pvh.bin} \
    "$work"/x/usr/share/seabios/bios*.bin "$work/bios/"
mv "$work/x/usr/bin/qemu-system-x86_64" "$work/"
rm -rf "$work/x"
mv "$work" "$cache/emulator"
