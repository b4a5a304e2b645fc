#!/bin/bash
# configure-guest.sh TREE AGENT: makes the test guest of a plain Debian tree.
set -euo pipefail
tree=$1 agent=$2

give() { # FILE: standard input becomes this file of the guest
    mkdir -p "$(dirname "$tree$1")"
    cat >"$tree$1"
}

identify() {
    echo vm | give /etc/hostname
    printf '127.0.0.1 localhost vm\n::1 localhost\n' | give /etc/hosts
    give /etc/fstab </dev/null
    echo 0123456789abcdef0123456789abcdef | give /etc/machine-id # a fixed one: no first-boot work
    mkdir -p "$tree/var/lib/dbus"
    ln -sfn /etc/machine-id "$tree/var/lib/dbus/machine-id"
}

add_user() { # the ordinary user, with subordinate ids
    chroot "$tree" passwd -d root >/dev/null
    chroot "$tree" useradd -m -u 1000 -U -s /bin/bash dev
    echo dev:100000:65536 | give /etc/subuid
    echo dev:100000:65536 | give /etc/subgid
    mkdir -p "$tree/project" "$tree/out"
    chmod 1777 "$tree/out"
}

add_agent() {
    install -D -m 755 "$agent" "$tree/usr/local/sbin/vm-agent"
    give /etc/systemd/system/vm-agent.service <<'UNIT'
[Unit]
Description=host command agent
After=basic.target dbus.service systemd-logind.service
Wants=dbus.service
[Service]
ExecStart=/usr/local/sbin/vm-agent
Delegate=yes
KillMode=process
OOMScoreAdjust=-900
OOMPolicy=continue
TasksMax=infinity
Environment=HOME=/root USER=root LOGNAME=root
UNIT
    give /etc/systemd/system/vm.target <<'UNIT'
[Unit]
Description=test guest
Requires=basic.target vm-agent.service
Wants=systemd-logind.service
After=basic.target vm-agent.service systemd-logind.service
AllowIsolate=yes
UNIT
    ln -sfn vm.target "$tree/etc/systemd/system/default.target"
}

configure_systemd() {
    # By itself systemd 252 hands down only memory and pids to a user manager.
    printf '[Service]\nDelegate=cpu cpuset io memory pids\n' | give /etc/systemd/system/user@.service.d/delegate.conf
    printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\nAudit=no\n' | give /etc/systemd/journald.conf.d/vm.conf
    printf '[Manager]\nShowStatus=no\nDefaultTimeoutStopSec=3s\nDefaultTimeoutStartSec=60s\n' |
        give /etc/systemd/system.conf.d/vm.conf
}

# What a guest of one command does not need; masked, each spares start time in the emulator.
mask_services() {
    local unit
    for unit in \
        systemd-{timesyncd,random-seed,update-utmp,update-utmp-runlevel,journal-flush,hwdb-update}.service \
        systemd-{machine-id-commit,firstboot,sysusers,boot-update,pcrphase,pcrphase-sysinit,pcrmachine}.service \
        systemd-{network-generator,remount-fs,udev-settle,update-done,pstore,repart,modules-load}.service \
        systemd-{udev-trigger,udevd,networkd,resolved}.service systemd-udevd-{control,kernel}.socket \
        systemd-ask-password-{wall,console}.path systemd-{initctl,rfkill}.socket systemd-tmpfiles-clean.timer \
        modprobe@{configfs,drm,dm_mod,loop,efi_pstore}.service kmod-static-nodes.service ldconfig.service \
        getty.target serial-getty@ttyS0.service nftables.service e2scrub_reap.service \
        {apt-daily,apt-daily-upgrade,dpkg-db-backup,e2scrub_all,fstrim,logrotate}.timer \
        proc-sys-fs-binfmt_misc.automount dev-hugepages.mount sys-kernel-{debug,tracing}.mount \
        sys-fs-fuse-connections.mount; do
        ln -sfn /dev/null "$tree/etc/systemd/system/$unit"
    done
}

identify
add_user
add_agent
configure_systemd
mask_services
