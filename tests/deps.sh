#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tests/deps.sh SET...: install what is missing, from the distribution's packages (Debian, Ubuntu).
#
#   build   what `make` needs
#   demo    what `make demo` needs besides
#   check   what `make check` needs besides; some tests have the runtimes of `bench` as controls, and skip without
#   bench   the other runtimes: for `make bench`, and for tests that show that an attack works on somebody
#   vm      what `make check-vm` needs besides
#   engines what drives a runtime in earnest: for `make check-engines`
#   lint    what `make lint`, the build by clang and the sanitizers need
#
# What is asked for is a program, a header or a library, not a package: where those are there nothing is done, whoever
# installed them. Whoever is not root is told what root would have to run, and the exit status is 1.

set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # runc, useradd

say() {
    echo "deps: $*" >&2
}

usage() {
    echo "usage: sh tests/deps.sh build|demo|check|bench|vm|engines|lint ..." >&2
    exit 2
}

missing=

# want PACKAGE, after a test that failed
want() {
    case " $missing " in
    *" $1 "*) ;;
    *) missing="$missing $1" ;;
    esac
}

program() {
    command -v "$1" >/dev/null || want "$2"
}

# The compiler knows where headers are; before there is one, everything of its is missing.
compiler() {
    command -v "${CC:-cc}" || command -v gcc || command -v clang
}

header() {
    { cc=$(compiler) && echo "#include <$1>" | "$cc" -E -x c - >/dev/null 2>&1; } || want "$2"
}

# The static one: linking shared libraries is not the default (see the Makefile).
library() {
    { cc=$(compiler) && [ -e "$("$cc" -print-file-name="$1")" ]; } || want "$2"
}

static_busybox() {
    { at=$(command -v busybox) && ! head -c 4096 "$at" | grep -q -a /ld-; } || want busybox-static
}

# clang's own sanitizer libraries are in a package with its version in the name.
clang_sanitizers() {
    if ! command -v clang >/dev/null; then
        want libclang-rt-dev
        return
    fi
    file=$(clang -print-file-name="libclang_rt.asan-$(uname -m).a")
    [ -e "$file" ] || [ -e "$(clang -print-file-name=libclang_rt.asan.a)" ] ||
        want "libclang-rt-$(clang -dumpversion | cut -d . -f 1)-dev"
}

build() {
    compiler >/dev/null || want gcc
    program make make
    header stdio.h libc6-dev
    header linux/openat2.h linux-libc-dev
    library libc.a libc6-dev
    header seccomp.h libseccomp-dev
    library libseccomp.a libseccomp-dev
    header sys/capability.h libcap-dev
    library libcap.a libcap-dev
    header yajl/yajl_parse.h libyajl-dev
    header archive.h libarchive-dev
    header systemd/sd-bus.h libsystemd-dev
    library libyajl_s.a libyajl-dev
}

demo() {
    static_busybox
    program setpriv util-linux
    program unshare util-linux
    program ps procps
}

check() {
    static_busybox
    program python3 python3
    program newuidmap uidmap
    program useradd passwd
    program mandoc mandoc
    program objdump binutils
    program git git
    program zsh zsh
    program fish fish
}

bench() {
    static_busybox
    program newuidmap uidmap
    program unshare util-linux
    program mountpoint util-linux
    program crun crun
    program runc runc
    program bwrap bubblewrap
}

vm() {
    program qemu-system-x86_64 qemu-system-x86
    program mmdebstrap mmdebstrap
    program mkfs.ext4 e2fsprogs
    program zstd zstd
    program python3 python3
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || want debian-archive-keyring
}

# Most of the engines are daemons: where they are installed by this, Debian may start them; see policy-rc.d(8).
engines() {
    bench
    program python3 python3
    program bash bash
    program useradd passwd
    program podman podman
    program conmon conmon
    program buildah buildah
    program ctr containerd
    program dockerd docker.io
    program slurmctld slurmctld
    program slurmd slurmd
    program srun slurm-client
    program munged munge
    [ -e /usr/libexec/podman/catatonit ] || program catatonit catatonit
    [ -e /usr/lib/podman/netavark ] || [ -e /usr/libexec/podman/netavark ] || want netavark
}

lint() {
    program python3 python3
    program objdump binutils
    program git git
    program mandoc mandoc
    program clang clang
    program clang-format clang-format
    program clang-tidy clang-tidy
    program cppcheck cppcheck
    program shellcheck shellcheck
    clang_sanitizers
}

# Without recommendations: runc's are CRIU, mandoc's are a web server's.
install() {
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null >&2
}

[ $# -gt 0 ] || usage
for set in "$@"; do
    case $set in
    build | demo | check | bench | engines | vm | lint) ;;
    *) usage ;;
    esac
done
for set in "$@"; do
    "$set"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    say "missing here, by the names of Debian's packages:$missing"
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    say "missing; as root: apt-get update && apt-get install --no-install-recommends$missing"
    exit 1
fi
say "installing:$missing"
# The lists of a fresh system are absent, or name versions that are gone.
install || { say "once more, with fresh lists"; apt-get update -q >&2 && install; }

missing=
for set in "$@"; do
    "$set"
done
[ -z "$missing" ] || { say "still missing:$missing"; exit 1; }
