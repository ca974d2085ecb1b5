#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bench/run.sh [-n ROUNDS] [-p PAUSE_MS] [-b BUILD_DIR] - time bryo against other runtimes and against the floor
#
# Prints Markdown for the README. Needs a C compiler, busybox (static) and whichever of crun, runc and bwrap are
# there. As root both halves are measured, the rootless one as an unprivileged user (BENCH_UID, no account needed); as
# an ordinary user only the rootless half.
#
# The configuration is written here and not by `bryo spec`, because the floor is a program for this very sandbox: were
# the defaults of `bryo spec` to change, the two would no longer do the same work.

set -eu

usage() {
    echo "usage: bench/run.sh [-n ROUNDS] [-p PAUSE_MS] [-b BUILD_DIR]" >&2
    exit 2
}

say() {
    echo "bench: $*" >&2
}

rounds=200
pause=0
build=build
while getopts n:p:b: opt; do
    case $opt in
    n) rounds=$OPTARG ;;
    p) pause=$OPTARG ;;
    b) build=$OPTARG ;;
    *) usage ;;
    esac
done
[ $# -lt "$OPTIND" ] || usage

src=$(cd "$(dirname "$0")" && pwd)
me=$(id -u)
uid=$me
gid=$(id -g)
if [ "$me" = 0 ]; then
    uid=${BENCH_UID:-61234}
    gid=$uid
fi
id=bryo-bench-$$
tab=$(printf '\t')
bryo=
[ ! -x "$build/bryo" ] || bryo=$(cd "$build" && pwd)/bryo
crun=$(command -v crun || true)
runc=$(command -v runc || true)
bwrap=$(command -v bwrap || true)
busybox=$(command -v busybox || true)
[ -n "$busybox" ] || { say "busybox is needed (Debian: busybox-static)"; exit 1; }
[ -n "$bryo" ] || say "no $build/bryo: measuring the others only"

# ---- what must not stay behind

# The containers of the third table are deleted from where they were made: elsewhere their cgroups are not seen.
delete_states() {
    [ -s "$tmp/delete" ] || return 0
    "$tmp/bench" -n 1 -w 0 "$tmp/delete" >/dev/null || true
    rm "$tmp/delete"
}

tmp=
states=
holders=
running=

# shellcheck disable=SC2317  # called by the traps
cleanup() {
    trap - EXIT HUP INT TERM
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null || true
        wait "$running" 2>/dev/null || true
    fi
    delete_states
    for pid in $holders; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ -z "$tmp" ] || rm -rf -- "$tmp"
    [ -z "$states" ] || rm -rf -- "$states"
}
trap cleanup EXIT
trap 'cleanup; exit 129' HUP
trap 'cleanup; exit 130' INT
trap 'cleanup; exit 143' TERM

tmp=$(mktemp -d)
chmod 755 "$tmp"
# The runtimes' --root directories: on a tmpfs, as /run and $XDG_RUNTIME_DIR are on real hosts.
states=$(mktemp -d -p /dev/shm 2>/dev/null) || states=$(mktemp -d)
chmod 755 "$states"

# ---- views of the cgroups
#
# On a host with cgroup v1 controllers crun refuses the mixture, and bryo is for cgroup v2 only. Everybody is therefore
# run in a private mount namespace where /sys/fs/cgroup is the cgroup2 tree. crun as root does not start there (it
# cannot raise RLIMIT_MEMLOCK without CAP_SYS_RESOURCE, and does so before every device filter), and gets one with the
# v1 hierarchies alone.

view=-
view_crun_root=-

# hold NAME COMMAND: a mount namespace in which COMMAND was run; $held becomes its path
hold() {
    mkfifo "$tmp/$1"
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --mount --propagation private sh -c \
        '{ '"$2"' && echo ok || echo failed; } >"$0"; exec sleep 86400' "$tmp/$1" >/dev/null &
    holders="$holders $!"
    held=/proc/$!/ns/mnt
    read -r answer <"$tmp/$1"
    [ "$answer" = ok ] || { say "no private view of the cgroups: $2"; exit 1; }
}

cgroup_fs=$(stat -f -c %T /sys/fs/cgroup 2>/dev/null || echo none)
hybrid=
if [ "$me" = 0 ] && [ "$cgroup_fs" != cgroup2fs ]; then
    unshare --mount true || { say "no private mount namespace"; exit 1; }
    hybrid=yes
    hold v2 'mount -t cgroup2 none /sys/fs/cgroup'
    view=$held
    view_crun_root=$held
    if mountpoint -q /sys/fs/cgroup/unified; then
        hold v1 'umount /sys/fs/cgroup/unified'
        view_crun_root=$held
    fi
fi

# ---- the programs

cc=${CC:-cc}
for program in floor bench; do
    "$cc" -std=gnu17 -O2 -Wall -Wextra -static -o "$tmp/$program" "$src/$program.c"
done
echo 'int main(void) { return 0; }' >"$tmp/empty.c"
"$cc" -O2 -static -o "$tmp/empty" "$tmp/empty.c"
"$tmp/floor" --filter >"$tmp/filter"

# ---- the bundles

# write_config FILE [rootless]: what floor.c does, as config.json
write_config() {
    userns=
    maps=
    if [ "${2-}" = rootless ]; then
        userns='{"type": "user"},'
        maps='"uidMappings": [{"containerID": 0, "hostID": '$uid', "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": '$gid', "size": 1}],'
    fi
    caps='["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]'
    quiet='"nosuid", "noexec", "nodev"'
    cat >"$1" <<JSON
{
    "ociVersion": "1.0.2",
    "process": {
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/true"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {"bounding": $caps, "effective": $caps, "permitted": $caps},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": true
    },
    "root": {"path": "rootfs", "readonly": true},
    "hostname": "bench",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": [$quiet]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [$quiet, "ro"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": [$quiet, "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": [$quiet]}
    ],
    "linux": {
        "namespaces": [
            $userns {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
            {"type": "cgroup"}
        ],
        $maps
        "maskedPaths": [
            "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
            "/proc/sched_debug", "/proc/acpi", "/proc/asound", "/sys/firmware", "/proc/scsi"
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{
                "names": ["add_key", "bpf", "delete_module", "finit_module", "init_module", "kexec_load",
                          "perf_event_open", "reboot", "swapon", "userfaultfd"],
                "action": "SCMP_ACT_ERRNO"
            }]
        }
    }
}
JSON
}

# make_bundle DIR [rootless]
make_bundle() {
    mkdir -p "$1/rootfs/bin" "$1/rootfs/proc" "$1/rootfs/sys" "$1/rootfs/dev"
    cp "$busybox" "$1/rootfs/bin/busybox"
    ln -s busybox "$1/rootfs/bin/true"
    write_config "$1/config.json" "${2-}"
    state=$states/$(basename "$1")
    mkdir "$state" "$state/bryo" "$state/crun" "$state/runc"
    [ "${2-}" != rootless ] || [ "$me" != 0 ] || chown -R "$uid:$gid" "$1" "$state"
}

# ---- contenders

# row NAME USER VIEW COMMAND
row() {
    echo "$1$tab$2$tab$3$tab$4"
}

# oci NAME PROGRAM USER VIEW BUNDLE [GLOBAL OPTION [OPTIONS OF RUN]]: nothing when the program is absent
oci() {
    [ -n "$2" ] || return 0
    row "$1" "$3" "$4" "$2 --root $states/$(basename "$5")/${1%%,*} ${6-} run -b $5 $id ${7-}"
}

# The nearest that bubblewrap has. It mounts less: no sysfs, no masked or read-only paths, no session keyring, and it
# keeps no capability.
bubblewrap() {
    [ -n "$bwrap" ] || return 0
    row bubblewrap "$1" "$view" "$bwrap $3 --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup \
--as-pid-1 --new-session --hostname bench --ro-bind $2/rootfs / --proc /proc --dev /dev --tmpfs /dev/shm \
--mqueue /dev/mqueue --cap-drop ALL --seccomp 9 --clearenv --setenv PATH /bin --chdir / 9<$tmp/filter /bin/true"
}

root_contenders() {
    row floor - "$view" "$tmp/floor $tmp/root/rootfs /bin/true"
    oci bryo "$bryo" - "$view" "$tmp/root"
    oci "bryo, overlay" "$bryo" - "$view" "$tmp/root" "" "--overlay tmpfs"
    oci crun "$crun" - "$view_crun_root" "$tmp/root"
    # moving a process between v1 cgroups waits for RCU: most of what crun does there is not its own work
    oci "crun, no cgroup" "$crun" - "$view" "$tmp/root" --cgroup-manager=disabled
    oci runc "$runc" - "$view" "$tmp/root"
    bubblewrap - "$tmp/root" ""
}

rootless_contenders() {
    row floor "$user" "$view" "$tmp/floor $tmp/user/rootfs rootless /bin/true"
    oci bryo "$bryo" "$user" "$view" "$tmp/user"
    oci "bryo, overlay" "$bryo" "$user" "$view" "$tmp/user" "" "--overlay tmpfs"
    oci crun "$crun" "$user" "$view" "$tmp/user"
    oci runc "$runc" "$user" "$view" "$tmp/user"
    bubblewrap "$user" "$tmp/user" "--unshare-user --uid 0 --gid 0"
}

# A contender that fails is in the table as failed; the others are still worth having.
failures=0
table() {
    echo
    echo "### $1"
    echo
    shift
    # in the background, for a trap to be run while it lasts
    "$tmp/bench" "$@" &
    running=$!
    wait "$running" || failures=1
    running=
}

# prepare_state NAME PROGRAM VIEW: leave a created container behind for `state` to look at
prepare_state() {
    [ -n "$2" ] || return 0
    on="$2 --root $states/$(basename "$state_bundle")/$1"
    row "$1" - "$3" "$on delete --force $id-$1" >>"$tmp/delete"
    row "$1" - "$3" "$on create -b $state_bundle $id-$1" >"$tmp/create"
    "$tmp/bench" -n 1 -w 0 "$tmp/create" >/dev/null || return 0
    row "$1 state" - "$3" "$on state $id-$1" >>"$tmp/state"
}

# prepare_exec NAME PROGRAM USER VIEW BUNDLE: leave a running container behind to enter
prepare_exec() {
    [ -n "$2" ] || return 0
    on="$2 --root $states/$(basename "$5")/$1"
    row "$1" "$3" "$4" "$on delete --force $id-$1" >>"$tmp/delete"
    row "$1" "$3" "$4" "$on create -b $5 $id-$1" >"$tmp/create"
    row "$1" "$3" "$4" "$on start $id-$1" >"$tmp/start"
    "$tmp/bench" -n 1 -w 0 "$tmp/create" >/dev/null && "$tmp/bench" -n 1 -w 0 "$tmp/start" >/dev/null || return 0
    row "$1 exec" "$3" "$4" "$on exec $id-$1 /bin/true" >>"$tmp/exec"
}

# make_exec_bundle DIR FROM: the same with a payload that stays
make_exec_bundle() {
    cp -a "$2" "$1"
    ln -s busybox "$1/rootfs/bin/sleep"
    sed -i 's|"args": \["/bin/true"\]|"args": ["/bin/sleep", "100000"]|' "$1/config.json"
    cp -a "$states/$(basename "$2")" "$states/$(basename "$1")"
}

# ---- the machine

version() {
    [ -z "$2" ] || echo "- $("$2" --version 2>/dev/null | head -n 1 | sed "s/^$1 *version */$1 /")"
}

facts() {
    echo "- Linux $(uname -r), $(uname -m), $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    [ -z "$hybrid" ] || echo "- cgroup v1 host: each run is in a private mount namespace with a cgroup2 tree" \
        "(crun as root, if with a cgroup: with the v1 hierarchies)"
    echo "- compiler: $("$cc" --version | head -n 1)"
    version bryo "$bryo"
    version crun "$crun"
    version runc "$runc"
    version bubblewrap "$bwrap"
    ! command -v newuidmap >/dev/null || echo "- newuidmap is installed: crun, rootless, runs it and newgidmap"
    echo "- $rounds interleaved rounds in random order, from fork to wait"
}

# ---- the tables

user=-
[ "$me" != 0 ] || user=$uid:$gid
export XDG_RUNTIME_DIR="$tmp/user"
make_bundle "$tmp/user" rootless
rootless_contenders >"$tmp/rootless.tsv"

facts
if [ "$me" = 0 ]; then
    make_bundle "$tmp/root"
    root_contenders >"$tmp/root.tsv"
    table "Root: run /bin/true" -n "$rounds" -p "$pause" -r floor -r crun -r "crun, no cgroup" "$tmp/root.tsv"
else
    say "not root: only the rootless half"
fi
table "Rootless: run /bin/true" -n "$rounds" -p "$pause" -r floor -r crun "$tmp/rootless.tsv"

state_bundle=$tmp/user
view_crun=$view
if [ "$me" = 0 ]; then
    state_bundle=$tmp/root
    view_crun=$view_crun_root
fi
row "empty static program" - "$view" "$tmp/empty" >"$tmp/state"
prepare_state bryo "$bryo" "$view"
prepare_state crun "$crun" "$view_crun"
prepare_state runc "$runc" "$view"
table "State of a created container" -n "$rounds" -p "$pause" -r "empty static program" "$tmp/state"
delete_states

# exec_table TITLE USER VIEW_OF_CRUN BUNDLE
exec_table() {
    make_exec_bundle "$4-exec" "$4"
    : >"$tmp/exec"
    prepare_exec bryo "$bryo" "$2" "$view" "$4-exec"
    prepare_exec crun "$crun" "$2" "$3" "$4-exec"
    prepare_exec runc "$runc" "$2" "$view" "$4-exec"
    table "$1" -n "$rounds" -p "$pause" -r "crun exec" -r "runc exec" "$tmp/exec"
    delete_states
}
[ "$me" != 0 ] || exec_table "Root: exec /bin/true in a running container" - "$view_crun_root" "$tmp/root"
exec_table "Rootless: exec /bin/true in a running container" "$user" "$view" "$tmp/user"

# floor is there to show what a program of this kind cannot avoid; empty, that the measure is right
{
    row "empty static program" "$user" - "$tmp/empty"
    cat "$tmp/rootless.tsv"
} >"$tmp/memory.tsv"
table "Rootless: peak memory of the runtime process itself" -m -n 20 -w 1 -r crun "$tmp/memory.tsv"
exit "$failures"
