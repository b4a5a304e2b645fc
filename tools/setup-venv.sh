#!/bin/bash
# Makes .venv with exactly what requirements-dev.txt names; does nothing when that is done already.
set -eu
cd "$(dirname "$0")/.."

# The distribution's own interpreter comes first: a version manager's lives in a home that test users cannot read.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 /usr/bin/python3.1{4,3,2,1} /usr/local/bin/python3 python3 python3.1{4,3,2,1}; do
        if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

stamp=.venv/requirements.installed
if cmp -s requirements-dev.txt "$stamp" && .venv/bin/python3 -I -c '' 2>/dev/null; then
    exit 0
fi

if ! .venv/bin/python3 -I -m pip --version >/dev/null 2>&1; then
    if ! python=$(find_python) || ! "$python" -I -c 'import ensurepip' 2>/dev/null; then
        # shellcheck source=tools/lib-setup.sh
        . tools/lib-setup.sh
        need_packages python3 python3-venv
        if ! python=$(find_python); then
            echo "Python 3.11 or newer is needed; this distribution has an older one" >&2
            echo "  remedy: install python3.11 and python3.11-venv (deadsnakes, pyenv, uv), then repeat" >&2
            exit 1
        fi
    fi
    "$python" -I -m venv --clear .venv
fi
.venv/bin/python3 -I -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
cp requirements-dev.txt "$stamp"
