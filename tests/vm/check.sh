#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tests/vm/check.sh [-i | -c COMMANDS | ARGUMENT of tests/run...]
#
# Run the tests in a VM with cgroup v2, systemd and SELinux enforcing, or AppArmor, as root
# and as the ordinary user `tester`, in his part of the tree of cgroups and outside; without arguments a selection of them.
# Results are in build/vm/log (or log-apparmor), a line "N passed, N failed, N skipped" is the last.
#
#   -i           only build the image, unless it is there, for this state of tests/vm/image
#   -c COMMANDS  run these as root, in a copy of this tree
#   FAST=1       a VM without systemd; and see tests/vm/boot.sh
#   LSM=apparmor AppArmor and not SELinux: its tests
#   SHORT=1      only limits, scopes of systemd and SELinux: what can be tested nowhere else
#   PEER=crun    another runtime of the image: crun or runc
#   SECONDS_MAX  how long it may take, 1500
#
# The binaries are those of build/, or of BRYO_BUILD.

set -eu

fail() {
    echo "check.sh: $*" >&2
    exit 125
}

find_image() {
    key=$(find tests/vm/image -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c 1-12)
    image=build/vm/image-$key
}

# By its final name only when it is complete.
build_image() {
    [ "$(id -u)" = 0 ] || fail "the VM's image is not built; once, as root (two minutes, 400 MB, packages from the mirror" \
        "of Debian that apt has): sh tests/vm/check.sh -i"
    sh tests/deps.sh vm
    rm -rf build/vm/image-*
    sh tests/vm/image/build.sh "$image.new" >&2
    mv "$image.new" "$image"
}

quote() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

# What travels: the programs, the tests, and what these read of the tree.
pack() {
    for name in bryo bryo-scope bryo-test tests/probe; do
        [ -x "$build/$name" ] || fail "$build/$name is not built (make test-programs)"
    done
    {
        echo '#!/bin/sh'
        printf 'exec env SHORT=%s BRYO=%s sh tests/vm/job.sh' "${SHORT:+1}" "$(quote "${PEER:+/usr/bin/$PEER}")"
        for word; do
            printf ' %s' "$(quote "$word")"
        done
        echo
    } >"$work/run"
    chmod 755 "$work/run"
    tar -cf "$work/job.tar" --owner=0 --group=0 --mode=u=rwX,go=rX --exclude=__pycache__ \
        --transform "s,^$build/,build/," \
        tests man "$build/bryo" "$build/bryo-scope" "$build/bryo-test" "$build/tests/probe" "$build"/tests/*_test \
        -C "$work" run
}

cd "$(dirname "$0")/../.."
build=${BRYO_BUILD:-build}
find_image
[ -e "$image/root.img" ] || build_image
[ "${1:-}" != -i ] || exit 0
work=$(mktemp -d "${TMPDIR:-/tmp}/bryo-vm-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 125' INT TERM
pack "$@"
sh tests/vm/boot.sh "$image" "$work/job.tar" "build/vm/log${LSM:+-$LSM}" "${SECONDS_MAX:-1500}"
