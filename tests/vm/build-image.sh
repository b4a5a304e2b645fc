#!/bin/bash
# build-image.sh KERNEL CACHE KEY: builds CACHE/image-KERNEL-KEY {vmlinuz, release, stage.cpio, root.ext4}.
# Everything is a Debian package, fetched by name from the server the machine's own apt uses. The caller holds the
# cache's lock. Work happens in *.tmp and is renamed when whole, so a build that was cut short leaves nothing usable.
set -euo pipefail
kernel=$1 cache=$2 key=$3
suite=bookworm # the guest's, whatever this machine runs: its systemd and its 6.1 kernel are what the tests name
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/lib-setup.sh
. "$here/../../tools/lib-setup.sh"
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8

packages=(
    systemd systemd-sysv dbus dbus-user-session libpam-systemd udev kmod
    python3 nftables iproute2 uidmap wireguard-tools iptables busybox criu
    util-linux mount passwd login procps psmisc libcap2-bin strace e2fsprogs
    slirp4netns fuse-overlayfs ca-certificates polkitd
)
modules=(
    virtio_pci virtio_blk virtio_console virtio_rng fuse overlay squashfs erofs loop btrfs xfs dm_mod zram
    wireguard tun veth bridge dummy macvlan ipvlan ifb vrf br_netfilter
    nf_tables nft_chain_nat nft_ct nft_masq nft_nat nft_redir nft_reject nft_reject_inet nft_limit nft_log
    nft_compat nft_fib_inet nft_hash nft_numgen nft_socket nft_tproxy nf_conntrack nf_nat nf_conntrack_netlink
    xt_conntrack xt_MASQUERADE xt_nat xt_addrtype xt_comment xt_multiport xt_mark xt_tcpudp xt_REDIRECT
    iptable_nat iptable_filter ip6table_nat ip6table_filter ipt_REJECT
    unix_diag inet_diag tcp_diag udp_diag netlink_diag packet_diag af_packet_diag
    vsock vmw_vsock_virtio_transport binfmt_misc configfs autofs4 rfkill
    sch_htb sch_tbf sch_fq sch_ingress sch_netem cls_u32 cls_bpf act_mirred act_police
)

note() { printf '[vm image %s, %3d s] %s\n' "$kernel" "$SECONDS" "$*" >&2; }

build_tree() { # TREE: the root file system without a kernel
    local tree=$1 nothing
    note "installing the guest's packages"
    gcc -O2 -static -std=c11 -Wall -Wextra -Werror -o "$cache/vm-agent.tmp" "$here/agent.c"
    debian_source "$suite" >"$cache/sources.tmp"
    # shellcheck disable=SC2054  # the commas are the options' own
    local options=(--mode=root --variant=essential --skip=cleanup/apt,chroot/mount/sys
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"')
    for nothing in man locale doc i18n info bug lintian 'perl/*/unicore'; do
        options+=(--dpkgopt="path-exclude=/usr/share/$nothing/*")
    done
    local IFS=,
    # Its mounts are nobody else's: tests beside it look at the mount table.
    unshare --mount --propagation private mmdebstrap "${options[@]}" --include="${packages[*]}" \
        "$suite" "$tree" "$cache/sources.tmp" >"$cache/mmdebstrap.log" 2>&1 || {
        tail -n 30 "$cache/mmdebstrap.log" >&2
        return 1
    }
    rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* "$tree"/var/cache/debconf/* "$tree"/var/log/* \
        "$tree"/usr/lib/python3*/test "$tree"/usr/share/zoneinfo/{right,posix}
    bash "$here/configure-guest.sh" "$tree" "$cache/vm-agent.tmp"
    rm -f "$cache/vm-agent.tmp" "$cache/sources.tmp" "$cache/mmdebstrap.log"
}

fetch_kernel() { # FOLDER: vmlinuz, release, and below modules/ what the guest may load
    local to=$1 apt=$1/apt from=$suite package
    [ "$kernel" = 6.1 ] || from=$suite-backports
    apt_open_suite "$apt" "$from"
    package=$(apt_apart "$apt" apt-cache depends linux-image-cloud-amd64 |
        awk -v wanted="linux-image-$kernel" '/Depends: / && index($2, wanted) == 1 { print $2; exit }')
    [ -n "$package" ] || die "$from has no kernel $kernel any more"
    note "fetching $package"
    (cd "$apt" && apt_apart "$apt" apt-get download -qq "$package")
    dpkg-deb -x "$apt"/linux-image-*.deb "$apt/x"
    mv "$apt"/x/boot/vmlinuz-* "$to/vmlinuz"
    basename "$(find "$apt/x" -type d -path '*lib/modules/*' -prune)" >"$to/release"
    pick_modules "$apt/x" "$to/modules" "$(cat "$to/release")"
    rm -rf "$apt"
}

module_files() { # ROOT RELEASE MODULE...: their files and those they need, in load order
    local root=$1 release=$2 module
    shift 2
    for module in "$@"; do # one that is built in, or absent in this kernel, has no file
        modprobe -d "$root" -S "$release" --show-depends --ignore-install "$module" 2>/dev/null || true
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

pick_modules() { # FROM TO RELEASE; unpacked, since xz is slow in an emulator
    local from=$1 to=$2 release=$3 file name
    local folder=$to/lib/modules/$release
    mkdir -p "$folder"
    if [ ! -e "$from/lib" ]; then ln -s usr/lib "$from/lib"; fi
    depmod -b "$from" "$release"
    cp "$from/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$folder/"
    module_files "$from" "$release" "${modules[@]}" | while read -r file; do
        name=${file#*/lib/modules/"$release"/}
        mkdir -p "$folder/$(dirname "$name")"
        case $file in
        *.xz) xz -dc "$file" >"$folder/${name%.xz}" ;;
        *) cp "$file" "$folder/$name" ;;
        esac
    done
    depmod -b "$to" "$release"
}

# An initramfs of 2 MB that loads the virtio modules and goes over to the root disk: the kernel has them as modules.
build_stage() { # FOLDER
    local image=$1 stage=$1/stage file name
    mkdir -p "$stage"/{bin,dev,newroot}
    cp /bin/busybox "$stage/bin/busybox"
    module_files "$image/modules" "$(cat "$image/release")" virtio_pci virtio_blk virtio_console |
        while read -r file; do
            name=${file#"$image/modules"}
            mkdir -p "$stage$(dirname "$name")"
            cp "$file" "$stage$name"
            echo "$name"
        done >"$stage/modules.list"
    install -m 755 "$here/stage-init" "$stage/init"
    (cd "$stage" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) >"$image/stage.cpio"
    rm -rf "$stage"
}

build_root() { # FOLDER TREE
    local image=$1 tree=$2
    rm -rf "$tree/usr/lib/modules"
    mkdir -p "$tree/usr/lib/modules"
    cp -a "$image/modules/lib/modules/." "$tree/usr/lib/modules/"
    truncate -s 1536M "$image/root.ext4"
    # No journal: the image is only ever opened below a throw-away overlay.
    mkfs.ext4 -q -F -O '^has_journal,^resize_inode,^metadata_csum' -E lazy_itable_init=0 -N 65536 -m 0 \
        -d "$tree" "$image/root.ext4"
    rm -rf "$image/modules"
}

main() {
    rm -rf "$cache"/*.tmp
    local inputs tree image=$cache/image-$kernel-$key
    inputs=$(printf '%s\n' "${packages[@]}" | cat - "$here/configure-guest.sh" "$here/agent.c" | sha256sum)
    tree=$cache/tree-${inputs:0:12}
    if [ ! -e "$tree" ]; then
        rm -rf "$cache"/tree-*
        build_tree "$tree.tmp"
        mv "$tree.tmp" "$tree"
    fi
    mkdir "$image.tmp"
    fetch_kernel "$image.tmp"
    build_stage "$image.tmp"
    note "making the disk"
    build_root "$image.tmp" "$tree"
    if [ -n "${SUDO_UID:-}" ]; then # saved states come to lie beside it, made without root
        chown -R "$SUDO_UID:${SUDO_GID:-0}" "$image.tmp"
    fi
    rm -rf "$image" # without a complete mark, or nobody would have called
    mv "$image.tmp" "$image"
    note "done: $(du -m "$image/root.ext4" | cut -f1) MiB"
}

main
