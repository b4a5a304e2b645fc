# shellcheck shell=sh
# What the setup-*.sh scripts share: packages of this machine's own distribution, installed only after asking.
# Source it; it changes nothing by being read. No mirror is named here: apt's own configuration decides.
#
#   say TEXT...             one line to stderr
#   die TEXT...             the same, then exit 1
#   as_root CMD ARG...      runs CMD as root: directly, or through sudo
#   confirm QUESTION        true when the user says yes; ASSUME_YES=1 answers for him
#   need_packages PKG...    installs those that are missing, after asking; quick when all are present
#   debian_source SUITE     'deb […] URI SUITE main', the URI being that of this machine's Debian (or DEBIAN_URI)
#   apt_open_suite DIR SUITE, then apt_apart DIR apt-get|apt-cache ARG...   apt with that suite alone
#   unpack_packages DIR SUITE PKG...   unpacks packages of a suite below DIR; installs nothing

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
    command -v sudo >/dev/null || die "this needs root: run it as root, or install sudo: $*"
    sudo "$@"
}

confirm() {
    if [ "${ASSUME_YES:-0}" = 1 ]; then return 0; fi
    # Without a terminal there is nobody to ask, and silence is not consent.
    [ -t 0 ] || die "$1 Nobody to ask here: set ASSUME_YES=1 to allow it."
    printf '%s [y/N] ' "$1" >&2
    read -r confirm_answer || return 1
    case $confirm_answer in y | Y | yes | YES) return 0 ;; *) return 1 ;; esac
}

package_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

package_known() { # apt has a version to install
    apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >&2
}

need_packages() {
    if ! command -v apt-get >/dev/null; then
        die "this is not a Debian or Ubuntu machine; install what these packages hold by hand: $*"
    fi
    need_missing=''
    for need_package in "$@"; do
        package_installed "$need_package" || need_missing="$need_missing $need_package"
    done
    if [ -z "$need_missing" ]; then return 0; fi
    say "missing packages:$need_missing"
    confirm "Install them with apt-get?" || die "not installed; by hand: apt-get install$need_missing"
    for need_package in $need_missing; do
        # Fresh machines and container images come without package lists.
        package_known "$need_package" || { as_root apt-get update -qq; break; }
    done
    # shellcheck disable=SC2086  # a list of words
    if install_packages $need_missing; then return 0; fi
    say "once more, with fresh package lists"
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    install_packages $need_missing || die "apt-get could not install:$need_missing"
}

# Files of packages without installing them: no service is started, and the machine stays as it is.
unpack_of_this_release() { # FOLDER PACKAGE...
    release_into=$1
    shift
    rm -rf "$release_into.tmp"
    mkdir -p "$release_into.tmp/.deb"
    package_known "$1" || as_root apt-get update -qq
    (
        cd "$release_into.tmp/.deb" || exit 1
        apt-get -o APT::Sandbox::User=root download -qq "$@" ||
            { as_root apt-get update -qq && apt-get -o APT::Sandbox::User=root download -qq "$@"; }
    ) || die "apt-get could not download: $*"
    for release_deb in "$release_into.tmp"/.deb/*.deb; do dpkg-deb -x "$release_deb" "$release_into.tmp"; done
    rm -rf "$release_into.tmp/.deb" "$release_into"
    mv "$release_into.tmp" "$release_into"
}

apt_keyring() {
    apt_file=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$apt_file" ] || die "no $apt_file: apt-get install debian-archive-keyring"
    echo "$apt_file"
}

apt_configured_uri() {
    # shellcheck disable=SC2016  # $(…) is apt's own format language here
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" { print $4; exit }'
}

# One server carries every release of Debian: only the suite's name is exchanged.
debian_source() {
    apt_uri=${DEBIAN_URI:-$(apt_configured_uri)}
    if [ -z "$apt_uri" ]; then # the lists were never fetched
        as_root apt-get update -qq
        apt_uri=$(apt_configured_uri)
    fi
    [ -n "$apt_uri" ] || die "apt's configuration has no Debian source; name one in DEBIAN_URI"
    apt_key=$(apt_keyring)
    echo "deb [signed-by=$apt_key] $apt_uri $1 main"
}

# Lists and downloads of their own, so that the machine's apt state stays untouched.
apt_apart() { # FOLDER apt-get|apt-cache ARG...
    apart=$1
    apart_tool=$2
    shift 2
    "$apart_tool" -o Dir::Etc::sourcelist="$apart/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$apart/lists" -o Dir::Cache="$apart/cache" -o Debug::NoLocking=1 \
        -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}

apt_open_suite() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    debian_source "$2" >"$1/sources.list"
    apt_apart "$1" apt-get update -qq
}

unpack_packages() {
    unpack_into=$1
    unpack_suite=$2
    shift 2
    apt_open_suite "$unpack_into/.apt" "$unpack_suite"
    (cd "$unpack_into/.apt" && for package in "$@"; do
        apt_apart "$PWD" apt-get download -qq "$package/$unpack_suite"
    done)
    for unpack_deb in "$unpack_into"/.apt/*.deb; do dpkg-deb -x "$unpack_deb" "$unpack_into"; done
    rm -rf "$unpack_into/.apt"
}
