#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: kernel.sh ROOT -- called by mmdebstrap: unpack a kernel and its modules.
#
# Not installed: the package would ask for an initramfs and run its tools.

set -eu

export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
mkdir "$1/tmp/kernel"
cd "$1/tmp/kernel"
package=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/.*Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
apt-get -qq download "$package"
dpkg-deb -x ./*.deb .
mv usr/lib/modules "$1/usr/lib/"
mv boot/vmlinuz-* "$1/boot/vmlinuz"
mv boot/config-* "$1/boot/"
cd /
rm -r "$1/tmp/kernel"
