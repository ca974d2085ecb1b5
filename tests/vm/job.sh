#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM, as root at the level s0: run the tests, as root and as `tester`.
#
# Arguments are those of tests/run, in place of our selection; -c COMMANDS runs
# these as root, with as_tester at hand. BRYO is the runtime, a peer perhaps.

set -u

user=tester
runtime_dir=/run/user/1000

# A cgroup of our own making: what a batch system hands to an ordinary user.
delegate() {
    cgroup=/sys/fs/cgroup/$user
    mkdir -p "$cgroup/tests"
    for file in "$cgroup" "$cgroup/tests"; do
        chown "$user:" "$file" "$file/cgroup.procs" "$file/cgroup.threads" "$file/cgroup.subtree_control"
    done
}

# As tester, in a delegated cgroup. With --scope, systemd moves us there: as a
# service of the user manager we would have its level of SELinux, all categories.
as_tester() {
    if [ -d /run/systemd/system ]; then
        runuser -u "$user" -- env -i PATH="$PATH" HOME="/home/$user" USER="$user" LANG=C.UTF-8 BRYO="$BRYO" \
            XDG_RUNTIME_DIR="$runtime_dir" DBUS_SESSION_BUS_ADDRESS="unix:path=$runtime_dir/bus" \
            systemd-run --user --scope --quiet --property Delegate=yes -- "$@"
    else
        delegate
        sh -c 'echo $$ >"$0/tests/cgroup.procs" && exec "$@"' "$cgroup" \
            runuser -u "$user" -- env -i PATH="$PATH" HOME="/home/$user" USER="$user" LANG=C.UTF-8 BRYO="$BRYO" "$@"
    fi
}

# Likewise, but where we are, in the system's part of the tree: like somebody who has
# come by su. The kernel does not let him put a process into a scope of his manager.
as_outsider() {
    runuser -u "$user" -- env -i PATH="$PATH" HOME="/home/$user" USER="$user" LANG=C.UTF-8 BRYO="$BRYO" \
        XDG_RUNTIME_DIR="$runtime_dir" "$@"
}

# The tests of $1 (root, tester or outsider), and their closing lines in /out/results.
run_as() {
    who=$1
    shift
    echo "== as $who: $*"
    case $who in
    root) "$@" ;;
    tester) as_tester "$@" ;;
    outsider) as_outsider "$@" ;;
    esac 2>&1 | tee -a "/out/tests-$who"
    line=$(tail -n 1 "/out/tests-$who")
    case $line in
    *' passed, '*' failed, '*' skipped') echo "$line" >>/out/results ;;
    *) echo "0 passed, 1 failed, 0 skipped" >>/out/results ;;
    esac
}

# What meets other things here than on the host: limits, which are measured and
# therefore alone; life and confinement; the rows that touch cgroups and labels,
# and others that leave something. All the rest is the host's matter, and slow.
run_selection() {
    who=$1
    if [ "$who" = root ]; then
        set -- -j "$(nproc)"
    else
        # One at a time: they share a /tmp, and watch over it.
        set -- -x '[root]' -x '[userns]'
    fi
    other=root
    [ "$who" != root ] || other=rootless
    run_as "$who" tests/run -j 1 -x "[$other, " -x 'no systemd' tests/test_limits.py
    if [ "${SHORT:-}" = 1 ]; then
        # Root calls bryo as an ordinary user, too.
        [ "$who" != root ] || run_as root tests/run -x 'userns]' -x 'ranges]' tests/test_selinux.py
        return 0
    fi
    run_as "$who" tests/run "$@" tests/test_cgroup.py tests/test_selinux.py
    run_as "$who" tests/run "$@" tests/test_lifecycle.py tests/test_confinement.py
    for word in clone cgroup scope label mounts record; do
        set -- -k "run at $word" -k "create at $word" "$@"
    done
    run_as "$who" tests/run "$@" tests/test_faults.py
}

# Where AppArmor is what there is. SHORT: root and rootless, without the stand-ins, which are the host's matter.
run_apparmor() {
    who=$1
    set -- tests/test_apparmor.py
    if [ "${SHORT:-}" = 1 ]; then
        set -- -x 'who asks' -x 'profile beside' -x 'profile of' -x 'cannot be had' -x 'host without' \
            -x 'userns]' -x 'ranges]' -x 'runc, rootless' "$@"
        [ "$who" != root ] || set -- -x 'rootless]' "$@"
    fi
    [ "$who" = root ] || set -- -x 'root]' -x 'userns]' "$@"
    run_as "$who" tests/run "$@"
}

sum() {
    awk '{ p += $1; f += $3; s += $5 } END { print p " passed, " f + 0 " failed, " s " skipped"; exit f > 0 || p == 0 }' "$1"
}

cd "$(dirname "$0")/../.." || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export BRYO="${BRYO:-$PWD/build/bryo}"
if [ "${1:-}" = -c ]; then
    eval "$2"
    exit
fi
if aa-enabled -q; then
    apparmor_parser -r -K -q tests/apparmor/profiles || exit 1
    label="AppArmor, $(cat /proc/self/attr/apparmor/current)"
else
    label="SELinux $(getenforce) at $(id -Z)"
fi
echo "== Linux $(uname -r), $label, $(nproc) CPUs, $BRYO"
# What is looked for beside bryo only when it is not a copy of itself.
install -D -m 755 build/bryo-scope /usr/local/libexec/bryo/bryo-scope
for who in ${WHO:-root tester outsider}; do
    if [ $# -gt 0 ]; then
        run_as "$who" tests/run "$@"
    elif aa-enabled -q; then
        [ "$who" = outsider ] || run_apparmor "$who"
    elif [ "$who" = outsider ]; then
        [ ! -d /run/systemd/system ] || run_as "$who" tests/run -j 1 -k 'life [rootless, systemd]' \
            -k 'never outside [rootless, systemd]' -k 'rows [rootless, systemd]' -k 'fail [rootless, systemd]' -k 'auto' tests/test_limits.py
    else
        run_selection "$who"
    fi
done
echo "== $(dmesg | grep -c -e 'avc: *denied' -e 'apparmor="DENIED"') accesses were denied (file denials)"
echo "== all of them:"
sum /out/results
