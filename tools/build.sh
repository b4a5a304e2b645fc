#!/bin/bash
# Compiles the launcher into build/ and puts it where the package looks for it. Two builders take turns.
set -eu
cd "$(dirname "$0")/.."
exec 9>.venv/build.lock
flock 9
PATH=$PWD/.venv/bin:$PATH
export PATH
if [ ! -f build/build.ninja ]; then
    rm -rf build
    if ! report=$(meson setup build 2>&1); then
        printf '%s\n' "$report" >&2
        exit 1
    fi
fi
ninja -C build --quiet
mkdir -p src/nucleus/libexec
# Renamed into place: a running launcher is never written to.
for program in nucleus-launch nucleus-log nucleus-trace; do
    strip -o "src/nucleus/libexec/.$program.new" "build/launcher/$program"
    mv "src/nucleus/libexec/.$program.new" "src/nucleus/libexec/$program"
done
# What the first command would write else, and what other users of a tree of root's cannot.
.venv/bin/python3 -I -S -c 'import sys; sys.path.append("src"); from nucleus.precompile import renew; renew()'
