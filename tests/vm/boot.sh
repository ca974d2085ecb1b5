#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tests/vm/boot.sh IMAGE JOB.TAR LOG [SECONDS]
#
# Boot the VM; ./run of the tar is executed as root, its output comes out here
# while it runs. LOG gets all results: log, status, dmesg, denials, journal,
# console, qemu.  The exit status is that of ./run; 125 is trouble of the VM.
#
# Needs no root. The image is opened as a snapshot: each boot starts clean, and
# several at once are fine. FAST=1 leaves systemd out, LSM=apparmor has AppArmor
# instead of SELinux. CPUS, MEMORY (MiB), ACCEL and APPEND (to the kernel's command
# line) override what is chosen here.

set -u

fail() {
    echo "boot.sh: $*" >&2
    exit 125
}

# /dev/kvm alone proves nothing: where it comes from a hypervisor without nested
# virtualization, a stock kernel hangs.
choose_accelerator() {
    if [ -n "${ACCEL:-}" ]; then
        accel=$ACCEL
    elif [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
        accel=kvm
    else
        accel=tcg,thread=multi,tb-size=512
    fi
    case $accel in
    kvm*) cpu=host ;;
    # Five levels of page tables only make emulation slower.
    *) cpu=max,la57=off ;;
    esac
}

# Two at least, for cpusets; more than four bring nothing.
choose_cpus() {
    cpus=${CPUS:-$(nproc)}
    if [ -z "${CPUS:-}" ]; then
        [ "$cpus" -ge 2 ] || cpus=2
        [ "$cpus" -le 4 ] || cpus=4
    fi
}

kernel_line() {
    echo "root=/dev/nvme0n1 rootfstype=ext4 rootwait rw console=ttyS0 quiet loglevel=4 log_buf_len=4M" \
        "lsm=landlock,yama,${LSM:-selinux} enforcing=1 psi=1 mitigations=off panic=-1 tsc=reliable random.trust_cpu=on" \
        "systemd.show_status=0"
    [ "${FAST:-0}" != 1 ] || echo init=/usr/local/sbin/vm-init
    echo "${APPEND:-}"
}

# The root is nvme, which the kernel has built in: no initramfs. The other
# disks are virtio-blk, told apart by their serial numbers.
start() {
    set -- -M q35 -accel "$accel" -cpu "$cpu" -smp "$cpus" -m "${MEMORY:-2048}" \
        -nodefaults -no-user-config -display none -no-reboot -serial "file:$log/console" \
        -kernel "$image/vmlinux" -append "$(kernel_line | tr '\n' ' ')" \
        -drive "if=none,id=root,file=$image/root.img,format=raw,snapshot=on,cache=unsafe" \
        -device nvme,id=nvme0,serial=root -device nvme-ns,bus=nvme0,drive=root,nsid=1 \
        -drive "if=none,id=job,file=$work/job.tar,format=raw,readonly=on" \
        -device virtio-blk-pci,drive=job,serial=job \
        -drive "if=none,id=out,file=$work/out.tar,format=raw,cache=unsafe" \
        -device virtio-blk-pci,drive=out,serial=out \
        -device virtio-serial-pci -chardev file,id=live,path=/dev/stdout \
        -device virtserialport,chardev=live,name=live,nr=1
    # cat, so that qemu has a pipe to open, and not a file to truncate.
    timeout --foreground -k 5 "$limit" qemu-system-x86_64 "$@" </dev/null 2>"$log/qemu" | cat
}

if [ $# -lt 3 ]; then
    sed -n '3s/^# //p' "$0" >&2
    exit 125
fi
image=$1 job=$2 log=$3 limit=${4:-900}
[ -r "$image/root.img" ] || fail "no image in $image"
command -v qemu-system-x86_64 >/dev/null || fail "qemu-system-x86_64 is not installed (sh tests/deps.sh vm)"
choose_accelerator
choose_cpus
rm -rf "$log"
mkdir -p "$log"
work=$(mktemp -d "${TMPDIR:-/tmp}/bryo-vm-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 125' INT TERM
cp "$job" "$work/job.tar"
truncate -s %1M "$work/job.tar"
truncate -s 256M "$work/out.tar"
start
tar -C "$log" -xf "$work/out.tar" 2>/dev/null
if [ ! -s "$log/status" ]; then
    tail -n 20 "$log/console" "$log/qemu" >&2
    fail "no result within $limit s ($accel)"
fi
exit "$(cat "$log/status")"
