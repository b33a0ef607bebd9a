#!/bin/sh
# mmdebstrap calls this with the new root as $1: adds Debian's kernel and the modules that the test needs.
# $MODULES names the modules. The package of the generic kernel is asked from apt inside the root, so that
# the kernel is the release's own (the cloud kernel has no Bluetooth).
set -eu
root=$1
work=/opt/kernel
mkdir -p "$root$work/root"
chroot "$root" sh -euc "
    cd $work
    kernel=\$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    apt-get download \"\$kernel\"
    dpkg-deb -x \"\$kernel\"_*.deb root
    version=\${kernel#linux-image-}
    depmod -b root \"\$version\"
    mkdir -p /usr/lib/modules/\"\$version\"
    for module in $MODULES; do
        modprobe --dirname $work/root --set-version \"\$version\" --show-depends \"\$module\"
    done >modules.txt
    sed -n 's/^insmod \([^ ]*\).*/\1/p' modules.txt | sort -u | while read -r file; do
        install -D -m 644 \"\$file\" /usr/lib/modules/\"\$version\"/\"\${file#*/lib/modules/*/}\"
    done
    cp root/lib/modules/\"\$version\"/modules.order root/lib/modules/\"\$version\"/modules.builtin* \
        /usr/lib/modules/\"\$version\"/
    depmod \"\$version\"
    mkdir -p /boot
    cp root/boot/vmlinuz-\"\$version\" /boot/vmlinuz
"
rm -rf "$root$work"
