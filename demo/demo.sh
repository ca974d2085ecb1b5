#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo/demo.sh: one container of an ordinary user, and what it can and cannot do.  `make demo` builds bryo and runs it.
#
# Everything is made in a temporary directory and removed at the end.  The demo checks what it claims: its exit status
# is 1 when something is allowed that must not be, or the other way round.  Root runs it as the user nobody, or as
# DEMO_USER.  BRYO names another binary than build/bryo.

set -eu

say() {
    echo "demo: $*" >&2
}

die() {
    say "$*"
    exit 1
}

title() {
    printf '\n== %s\n\n' "$*"
}

top=$(cd "$(dirname "$0")/.." && pwd)
bryo=${1:-$top/build/bryo}
[ -x "$bryo" ] || die "$bryo is not there: run make"
bryo=$(cd "$(dirname "$bryo")" && pwd)/$(basename "$bryo")
busybox=$(command -v busybox || true)
[ -n "$busybox" ] || die "busybox is needed (Debian: apt install busybox-static)"
! head -c 4096 "$busybox" | grep -q -a /ld- || die "$busybox is not static (Debian: apt install busybox-static)"

# ---- the user, and a place of hers

[ "$(id -u)" != 0 ] || TMPDIR=/tmp
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bryo-demo.XXXXXX")
detached=

# shellcheck disable=SC2317,SC2329  # called by the traps
cleanup() {
    trap - EXIT HUP INT TERM
    [ -z "$detached" ] || as_user "$bryo" delete --force "$detached" || true
    rm -rf -- "$tmp"
}
trap cleanup EXIT
trap 'cleanup; exit 129' HUP
trap 'cleanup; exit 130' INT
trap 'cleanup; exit 143' TERM

mkdir "$tmp/home" "$tmp/run"
if [ "$(id -u)" = 0 ]; then
    user=${DEMO_USER:-nobody}
    # The source tree may lie where nobody else can look.
    cp "$bryo" "$(dirname "$bryo")/bryo-export" "$tmp"
    bryo=$tmp/bryo
    chmod 755 "$tmp" "$bryo" "$tmp/bryo-export"
    chown "$(id -u "$user"):$(id -g "$user")" "$tmp/home" "$tmp/run"
    as_user() {
        setpriv --reuid "$(id -u "$user")" --regid "$(id -g "$user")" --clear-groups \
            env -i "PATH=$PATH" "XDG_RUNTIME_DIR=$tmp/run" "$@"
    }
else
    user=$(id -un)
    as_user() {
        XDG_RUNTIME_DIR=$tmp/run "$@"
    }
fi
cd "$tmp/home"

# ---- the bundle: a directory with a root file system and a config.json

bundle=$tmp/home/bundle
as_user mkdir -p "$bundle/rootfs/bin" "$bundle/rootfs/etc"
for place in dev proc sys tmp; do
    as_user mkdir "$bundle/rootfs/$place"
done
as_user cp "$busybox" "$bundle/rootfs/bin/busybox"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || as_user ln "$bundle/rootfs/bin/busybox" "$bundle/rootfs/bin/$applet"
done
printf '%s:/:/bin/sh\n' root:x:0:0: daemon:x:1:1: | as_user tee "$bundle/rootfs/etc/passwd" >/dev/null
echo 'root:x:0:' | as_user tee "$bundle/rootfs/etc/group" >/dev/null

# A file of the same user, readable by everybody, just not in the rootfs.
secret=$tmp/home/secret
echo 'of the host' | as_user tee "$secret" >/dev/null

as_user tee "$bundle/rootfs/look" >/dev/null <<'LOOK'
#!/bin/sh
# Runs in the container: tell, and try.  Exit status 1 when something was allowed.
wrong=0

tell() {
    printf '  %-32s %s\n' "$1" "$2"
}

# denied WHAT COMMAND...: it must fail
denied() {
    what=$1
    shift
    if ! command -v "$1" >/dev/null; then
        printf '  %-32s NOT TRIED: there is no %s\n' "$what" "$1"
        wrong=1
    elif answer=$("$@" 2>&1 </dev/null); then
        printf '  %-32s ALLOWED: %s\n' "$what" "$answer"
        wrong=1
    else
        printf '  %-32s denied: %s\n' "$what" "$(echo "$answer" | tail -n 1)"
    fi
}

# is WHAT TEXT WANTED: it must be that
is() {
    if [ "$2" = "$3" ]; then
        tell "$1" "$2"
    else
        printf '  %-32s WRONG: %s, not %s\n' "$1" "$2" "$3"
        wrong=1
    fi
}

has_nothing() {
    if [ -d "$1" ]; then
        [ -z "$(ls -A "$1")" ]
    else
        [ -z "$(cat "$1")" ]
    fi
}

status() {
    sed -n "s/^$1:[[:space:]]*//p" /proc/self/status
}

echo 'Who it thinks it is:'
is 'user and group (id)' "$(id -un):$(id -gn)" root:root
is 'host name' "$(hostname)" bryo
is 'its process number' $$ 1
is 'processes it sees (ps)' "$(ps -o pid | grep -c '[0-9]' | sed 's/^[1-5]$/only its own/')" 'only its own'
tell 'ids that exist (uid_map)' "$(sed 's/  */ /g; s/^ //' /proc/self/uid_map)  (inside, outside, how many)"
is '/' "$(ls / | tr '\n' ' ')" 'bin dev etc look proc sys tmp '
is 'devices' "$(find /dev -type b -o -type c | sort | sed 's|/dev/||' | tr '\n' ' ')" \
    'full null pts/ptmx random tty urandom zero '
is 'network interfaces' "$(ls /sys/class/net | tr '\n' ' ')" 'lo '

echo
echo 'What it cannot reach:'
denied "the host's /etc/shadow" cat /etc/shadow
denied "the host's /home" ls /home
denied 'a file beside the bundle' cat "$1"
denied "that, through /proc" cat "/proc/1/root$1"
denied 'the way out by ..' cat "../../../../../../../..$1"
denied 'the network' wget -q -O - http://192.0.2.1/

echo
echo 'What it cannot do:'
denied 'write to its root' touch /new
denied 'make that writable' mount -o remount,rw /
denied 'mount a file system' mount -t tmpfs none /tmp
denied 'uncover a masked path' umount /proc/keys
denied 'write to /proc/sys' sh -c ': >/proc/sys/kernel/core_pattern'
denied 'change the host name' hostname other
denied 'change its root' chroot / true
denied 'make a device node' mknod /dev/shm/mem c 1 1
denied 'become another user' su daemon -c true
denied 'give a file away' sh -c 'touch /dev/shm/file && chown 1 /dev/shm/file'
denied 'raise a limit' sh -c 'ulimit -Hn 4096'
denied 'make a user namespace' unshare -U true

echo
echo 'What is masked is empty:'
for path in /proc/keys /proc/timer_list /proc/interrupts /sys/firmware; do
    is "$path" "$(has_nothing $path && echo nothing)" nothing
done

echo
echo 'What the kernel says of it:'
# CAP_KILL 5, CAP_NET_BIND_SERVICE 10, CAP_AUDIT_WRITE 29
is 'CapEff, of its namespaces only' "$(status CapEff)" 0000000020000420
is 'CapBnd, all it can ever get' "$(status CapBnd)" 0000000020000420
is NoNewPrivs "$(status NoNewPrivs)" 1
is 'Seccomp (2: a filter)' "$(status Seccomp)" 2
is '/proc/sys is mounted' "$(sed -n 's|^proc /proc/sys proc \(r[ow]\),.*|\1|p' /proc/mounts)" ro
is 'open files, soft and hard limit' "$(ulimit -Sn) $(ulimit -Hn)" '1024 1024'

echo
echo 'What it can do:'
is 'write to /dev/shm' "$(echo text >/dev/shm/it && cat /dev/shm/it)" text
is 'use /dev/null, /dev/urandom' "$(head -c 4 /dev/urandom | wc -c)" 4
is 'use lo, which is up (carrier)' "$(cat /sys/class/net/lo/carrier)" 1

echo
echo "done, wrong: $wrong"
exit $wrong
LOOK
as_user chmod 755 "$bundle/rootfs/look"

# `bryo spec` writes a configuration to start from; here: another program, and a filter of system calls, which answers
# ENOSYS (38) and not EPERM, so that it is seen to be the filter's.
as_user "$bryo" spec --rootless -b "$bundle"
as_user sed -i -e '/"args": \[/,/\]/s|"sh"|"/look", "'"$secret"'"|' -e '/"maskedPaths"/i\
		"seccomp": {\
			"defaultAction": "SCMP_ACT_ALLOW",\
			"syscalls": [\
				{\
					"names": ["add_key", "bpf", "keyctl", "setns", "unshare", "userfaultfd"],\
					"action": "SCMP_ACT_ERRNO", "errnoRet": 38\
				}\
			]\
		},' "$bundle/config.json"

# ---- run it

title "$("$bryo" --version | head -n 1), run by $user (uid $(as_user id -u)): bryo run -b bundle demo"
status=0
as_user "$bryo" run -b "$bundle" demo >"$tmp/said" </dev/null || status=$?
cat "$tmp/said"
[ $status = 0 ] || die "the container ended with status $status"
# Had the program in the container died half-way, this would be missing.
grep -q '^done, wrong: 0$' "$tmp/said" || die "the container did not come to its end"
grep -q 'make a user namespace.*Function not implemented' "$tmp/said" || die "the filter did not answer"

# ---- the same in the steps that engines use, seen from the host

title "create, state, start, kill, delete"
as_user sed -i '/"args": \[/,/\]/s|"/look".*|"sleep", "60"|' "$bundle/config.json"
detached=demo
as_user "$bryo" create -b "$bundle" --pid-file "$tmp/run/pid" demo </dev/null
pid=$(cat "$tmp/run/pid")
as_user "$bryo" state demo | grep -e '"status"' -e '"pid"'
as_user "$bryo" start demo
echo
echo "Its first process, as the host sees it:"
echo
ps -o user,pid,args -p "$pid"
[ "$(ps -o uid= -p "$pid" | tr -d ' ')" = "$(as_user id -u)" ] || die "its first process is not $user's"
as_user "$bryo" kill demo KILL
tries=0
until as_user "$bryo" state demo | grep -q '"status": "stopped"'; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || die "it does not end"
    sleep 0.05
done
as_user "$bryo" delete demo
detached=
echo
echo "After delete, bryo list:"
echo
as_user "$bryo" list
[ -z "$(as_user "$bryo" list -q)" ] || die "it is still there"
[ -z "$(ls -A "$tmp/run/bryo")" ] || die "something of it is left"

# ---- an overlay: all writes go to a layer on top, and the root file system can be shared

title "create --overlay tmpfs:64m, diff, export"
as_user cp "$bundle/config.json" "$bundle/config.json.old"
as_user sed -i -e '/"args": \[/,/\]/s|"sleep", "60"|"sh", "-c", "echo text >/new; rm /look /bin/vi; chmod 700 /tmp; exec sleep 60"|' \
    -e 's/"readonly": true/"readonly": false/' "$bundle/config.json"
before=$(find "$bundle/rootfs" -printf '%p %T@ %m\n' | sort)
detached=demo
as_user "$bryo" create -b "$bundle" --overlay tmpfs:64m demo </dev/null
as_user "$bryo" start demo
tries=0
until as_user "$bryo" diff demo | grep -q ' /tmp$'; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || die "it does not write"
    sleep 0.05
done
echo "What it has changed, as bryo diff tells:"
echo
as_user "$bryo" diff demo
echo
echo "The same as a layer of an image, bryo export demo - | tar -t:"
echo
as_user "$bryo" export demo - | tar -t | tr '\n' ' '
echo
as_user "$bryo" export demo - | tar -t | grep -q '^\.wh\.look$' || die "the layer does not say what is deleted"
as_user "$bryo" delete --force demo
detached=
[ "$before" = "$(find "$bundle/rootfs" -printf '%p %T@ %m\n' | sort)" ] || die "the root file system was written to"
echo
echo "The root file system is as it was."
as_user mv "$bundle/config.json.old" "$bundle/config.json"

# ---- how long each step took

title "the steps of the fastest of 10 runs of \"true\" (bryo run --trace; bryo steps)"
as_user sed -i '/"args": \[/,/\]/s|"sleep", "60"|"true"|' "$bundle/config.json"
for run in 0 1 2 3 4 5 6 7 8 9; do
    as_user "$bryo" run -b "$bundle" --trace "$tmp/run/trace.$run" demo </dev/null
done
as_user "$bryo" steps "$bundle" >"$tmp/steps"
# The trace is written for people too: one key on each line.
awk -F '\t' '
    NR == FNR { side[$1] = $2; ptr[$1] = $3; next }
    FNR == 1 { run++ }
    { gsub(/[",]/, ""); split($0, word, /: */); sub(/^[ \t]*/, "", word[1]) }
    word[1] == "name" { name[run, ++n[run]] = word[2] }
    word[1] == "ts" { ts[run, n[run]] = word[2] }
    word[1] == "ns" { us[run, n[run]] = word[2] / 1000 }
    END {
        for (r = 1; r <= run; r++) {
            end = 0
            for (i = 1; i <= n[r]; i++)
                if (ts[r, i] + us[r, i] > end)
                    end = ts[r, i] + us[r, i]
            total[r] = end - ts[r, 1]
            if (!best || total[r] < total[best])
                best = r
        }
        if (!n[best])
            exit 1
        for (i = 1; i <= n[best]; i++)
            if (us[best, i] > most)
                most = us[best, i]
        printf "  %-15s %-4s %12s  %-31s\n", "step", "side", "microseconds", "reads"
        for (i = 1; i <= n[best]; i++) {
            step = name[best, i]
            bar = ""
            for (k = 0.5; k < 20 * us[best, i] / most; k++)
                bar = bar "#"
            printf "  %-15s %-4s %12.1f  %-31s %s\n", step, side[step], us[best, i], ptr[step], bar
        }
        printf "\n  %d steps, %d microseconds from the first to the payload; some overlap\n", n[best], total[best]
    }' "$tmp/steps" "$tmp"/run/trace.* || die "the traces are empty"

title "all as it should be"
