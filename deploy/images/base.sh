#!/bin/sh
# From Debian's files to a base without Debian's tools, no shell among them: `base.sh <step> <folder>`.
set -eu
step=$1 root=$2

# What is in there, as scanners of images read it where there is no dpkg.
listed() {
    mkdir -p "$root/var/lib/dpkg/status.d"
    for deb in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb --field "$deb" > "$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
    done
}

lean() {
    cd "$root"
    find usr/bin usr/sbin -mindepth 1 ! -name 'python3*' ! -name tini -delete
    rm -rf usr/libexec usr/share/perl5 usr/lib/systemd usr/lib/binfmt.d usr/lib/ssl/misc usr/games usr/include
    rm -rf etc/apt etc/dpkg etc/debconf.conf etc/cron.daily etc/logrotate.d etc/alternatives
    rm -rf var/lib/apt var/lib/dpkg/status
    (cd var/lib/dpkg/status.d && rm -f debconf dpkg libdb5.3 libgssapi-krb5-2 libk5crypto3 libkrb5* libnsl2 libtirpc* tar)
    cd usr/lib/python3.11
    rm -rf test idlelib lib2to3 pydoc_data ensurepip turtledemo tkinter
    # Modules of old name services and of Berkeley DB, with the libraries that only they load.
    rm -f lib-dynload/nis.* lib-dynload/_dbm.* lib-dynload/_test* lib-dynload/_ctypes_test.* lib-dynload/_xx*
    cd ../x86_64-linux-gnu
    rm -rf libdb-5.3.so libnsl.so.2* libtirpc.so* libgssapi_krb5.so* libkrb5*.so* libk5crypto.so* krb5
    rm -f libc_malloc_debug.so* libmemusage.so libpcprofile.so libthread_db.so*
}

# What the packages' own scripts would have written.
settled() {
    cd "$root"
    cat usr/share/ca-certificates/mozilla/*.crt > etc/ssl/certs/ca-certificates.crt
    rm -r usr/share/ca-certificates
    printf 'root:x:0:0:root:/root:/nowhere\nperennial:x:10001:10001::/tmp:/nowhere\n' > etc/passwd
    printf 'root:x:0:\nperennial:x:10001:\n' > etc/group
    printf 'hosts: files dns\n' > etc/nsswitch.conf
    chroot . /usr/bin/python3.11 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.11
}

# What belongs to the machine that built it.
unbound() {
    cd "$root"
    rm -rf etc/apt/sources.list* etc/hostname etc/resolv.conf dev/* var/lib/apt/lists/* var/cache/* var/log/*
}

case $step in
    listed) listed ;;
    base) unbound && lean && settled ;;
    builder) unbound ;;
esac
