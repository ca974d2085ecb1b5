#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tests/vm/image/build.sh DIRECTORY
#
# Makes the image of the test VM, as root: DIRECTORY/vmlinux, an uncompressed
# kernel, and DIRECTORY/root.img, a Debian with SELinux labels. It depends on
# this folder alone, and on the packages of the day.
#
# The mirror is that of this machine's apt; MIRROR and SECURITY (which may be
# empty) name others.

set -eu
umask 022

suite=trixie
# The level of the kernel's policy: a newer one would be converted at each boot.
policy=33

packages='systemd systemd-sysv dbus dbus-user-session libpam-systemd kmod
    policycoreutils selinux-policy-default selinux-utils apparmor
    python3 busybox-static uidmap iproute2 jq strace procps
    libseccomp2 libcap2 libyajl2 libasan8 libubsan1
    crun runc stress-ng'

# Not in a VM that lives for seconds.
masked='systemd-firstboot systemd-machine-id-commit systemd-random-seed systemd-update-utmp systemd-update-done
    systemd-journal-catalog-update ldconfig systemd-hwdb-update systemd-remount-fs systemd-pstore
    systemd-quotacheck systemd-tpm2-setup systemd-tpm2-setup-early systemd-boot-random-seed systemd-pcrphase
    systemd-modules-load kmod-static-nodes modprobe@configfs modprobe@drm modprobe@fuse modprobe@loop
    modprobe@dm_mod modprobe@efi_pstore selinux-autorelabel selinux-autorelabel-mark selinux-basics apparmor
    getty@tty1 serial-getty@ttyS0 console-getty fstrim e2scrub_reap apt-daily apt-daily-upgrade dpkg-db-backup
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer
    systemd-tmpfiles-clean.timer getty.target
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount
    proc-sys-fs-binfmt_misc.automount systemd-ask-password-wall.path systemd-ask-password-console.path
    systemd-initctl.socket systemd-creds.socket systemd-pcrextend.socket systemd-pcrlock.socket'

begin=$(date +%s)

step() {
    echo "build.sh: $(($(date +%s) - begin)) s: $*"
}

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

# The first repository of apt whose address ends so.
repository() {
    # shellcheck disable=SC2016  # for apt to expand
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sed 's,/*$,,' |
        grep -E "$1\$" | head -n 1
}

find_mirror() {
    mirror=${MIRROR-$(repository /debian)}
    security=${SECURITY-$(repository security)}
    [ -n "$mirror" ] || fail "apt of this machine has no mirror of Debian: name one, as in MIRROR=http://HOST/debian"
}

# Without what is large and of no use here; stress-ng drags in Mesa and LLVM.
unpack() {
    libraries=/usr/lib/x86_64-linux-gnu
    set -- --quiet --mode=root --variant=minbase --include="$(echo "$packages" | tr -s ' \n' ,)" \
        --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"'
    for path in /usr/share/man /usr/share/locale /usr/share/doc /usr/share/info; do
        set -- "$@" --dpkgopt="path-exclude=$path/*"
    done
    for library in libLLVM libgallium libz3; do
        set -- "$@" --dpkgopt="path-exclude=$libraries/$library*"
    done
    set -- "$@" --customize-hook="sh '$here/kernel.sh' \"\$1\"" "$suite" "$root" \
        "deb $mirror $suite main" "deb $mirror $suite-updates main"
    [ -z "$security" ] || set -- "$@" "deb $security $suite-security main"
    mmdebstrap "$@"
}

take_kernel() {
    chroot "$root" depmod "$(ls "$root/usr/lib/modules")"
    python3 "$here/vmlinux.py" "$root/boot/vmlinuz" "$out/vmlinux"
    rm "$root/boot/vmlinuz"
}

add_tester() {
    chroot "$root" useradd -m -u 1000 -s /bin/bash tester
    for file in subuid subgid; do
        grep -q '^tester:' "$root/etc/$file" || echo tester:100000:65536 >>"$root/etc/$file"
    done
    mkdir -p "$root/var/lib/systemd/linger"
    : >"$root/var/lib/systemd/linger/tester"
}

configure() {
    tar -C "$here/guest" --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . |
        tar -C "$root" --keep-directory-symlink -xf -
    echo vm >"$root/etc/hostname"
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    : >"$root/etc/fstab"
    rm -f "$root"/usr/lib/tmpfiles.d/provision.conf "$root"/usr/lib/systemd/system-generators/*
    add_tester
    units=$root/etc/systemd/system
    for unit in $masked; do
        case $unit in
        *.timer | *.target | *.mount | *.automount | *.path | *.socket) ;;
        *) unit=$unit.service ;;
        esac
        ln -sf /dev/null "$units/$unit"
    done
    ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
    mkdir -p "$units/multi-user.target.wants"
    ln -sf /etc/systemd/system/vm-job.service "$units/multi-user.target.wants/vm-job.service"
}

# /srv/rootfs: busybox and stress-ng, for a container. Hard links: those that
# busybox would make by itself are absolute and lead out of a bundle.
make_rootfs() {
    box=$root/srv/rootfs
    for name in bin dev etc mnt proc root run sys tmp; do
        mkdir -p "$box/$name"
    done
    cp "$root/usr/bin/busybox" "$root/usr/bin/stress-ng" "$box/bin/"
    chroot "$box" /bin/busybox --install /bin
    chroot "$root" ldd /usr/bin/stress-ng | grep -o '/[^ ]*' | sort -u | while read -r library; do
        mkdir -p "$box${library%/*}"
        cp -L "$root$library" "$box$library"
    done
}

# The second copy of the policy tells every denial, those too of the rules
# "dontaudit"; it is loaded with one write to /sys/fs/selinux/load.
make_policy() {
    sed -i 's/^SELINUX=.*/SELINUX=enforcing/' "$root/etc/selinux/config"
    printf '\npolicy-version = %s\n' "$policy" >>"$root/etc/selinux/semanage.conf"
    rm -f "$root"/etc/selinux/default/policy/policy.*
    cp "$here/policy.cil" "$root/tmp/bryo-tests.cil"
    chroot "$root" semodule -n -D -i /tmp/bryo-tests.cil
    mkdir -p "$root/usr/share/vm"
    cp "$root/etc/selinux/default/policy/policy.$policy" "$root/usr/share/vm/policy.nodontaudit"
    chroot "$root" semodule -n -B
    rm "$root/tmp/bryo-tests.cil"
}

# By setfiles, not by the kernel's idea of it: the host needs no SELinux.
label() {
    chroot "$root" setfiles -F -m /etc/selinux/default/contexts/files/file_contexts /
    chroot "$root" chcon -R -t container_file_t /srv/rootfs
    chroot "$root" chcon -t init_exec_t /usr/local/sbin/vm-init
}

if [ $# -ne 1 ]; then
    sed -n '3s/^# //p' "$0" >&2
    exit 2
fi
[ "$(id -u)" = 0 ] || fail "needs root"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
root=$out/root
rm -rf "$root"
find_mirror
step "unpacking Debian $suite"
unpack
step "configuring"
take_kernel
configure
make_rootfs
step "compiling the policy of SELinux"
make_policy
step "labelling"
label
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
step "packing"
rm -f "$out/root.img"
mkfs.ext4 -q -F -L vm-root -O ^has_journal,^metadata_csum -E lazy_itable_init=1 -m 0 -d "$root" "$out/root.img" 2G
rm -rf "$root"
step "done, $(du -h "$out/root.img" | cut -f 1)"
