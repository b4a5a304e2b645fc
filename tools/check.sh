#!/bin/bash
# Lint, types, C warnings and generated files. Runs all of them before it says which failed.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH
export PATH

failed=()
step() { # NAME COMMAND...
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

shell_scripts() {
    git -c safe.directory='*' ls-files -co --exclude-standard | while read -r file; do
        if [ -f "$file" ] && head -n 1 "$file" | tr -d '\0' | grep -qE '^#!.*\b(ba|da)?sh\b|^# shellcheck shell='; then
            printf '%s\n' "$file"
        fi
    done
}

check_shell() {
    if ! command -v shellcheck >/dev/null; then
        # shellcheck source=tools/lib-setup.sh
        (. tools/lib-setup.sh && need_packages shellcheck) || return 1
    fi
    shell_scripts | xargs -d '\n' shellcheck --severity=style --external-sources
}

check_generated() {
    local generator status=0
    for generator in tools/gen_*.py; do
        python3 "$generator" --check || status=1
    done
    return "$status"
}

# A build of its own, so that every file is compiled and every warning seen (they are errors).
check_c() { # COMPILER
    local folder
    folder=$(mktemp -d) || return 1
    local status=0
    if CC=$1 meson setup "$folder" >"$folder/log" 2>&1; then
        ninja -C "$folder" --quiet || status=1
    else
        cat "$folder/log"
        status=1
    fi
    rm -rf "$folder"
    return "$status"
}

step 'ruff check' ruff check --quiet .
step 'ruff format' ruff format --quiet --check .
step 'mypy --strict' mypy --no-error-summary
step 'shellcheck' check_shell
step 'generated files' check_generated
step 'C warnings, cc' check_c cc
if command -v clang >/dev/null; then
    step 'C warnings, clang' check_c clang
fi

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo 'all checks passed'
