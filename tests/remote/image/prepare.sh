#!/bin/sh
# Makes a plain Debian a host to test with: prepare.sh ROOT (mmdebstrap runs it at the end).
# Environment: LOGIN_KEY and ADMIN_PASSWORD, files; PACKAGES, a folder with Python packages; and where Debian's Python is
# left out, PYTHON_PREFIX, the folder of another one.
set -eu
root=$1
image=$(dirname "$0")

account() { # name, then options of useradd
    name=$1
    shift
    chroot "$root" useradd --create-home "$@" "$name"
}
account deploy --shell /bin/bash
account admin --shell /bin/bash
account guest --shell /bin/bash
account app --shell /usr/sbin/nologin --system --home-dir /srv/app

printf 'admin:%s\n' "$(cat "$ADMIN_PASSWORD")" | chroot "$root" chpasswd
echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/deploy"
echo 'admin ALL=(ALL:ALL) ALL' > "$root/etc/sudoers.d/admin"
chmod 0440 "$root/etc/sudoers.d/deploy" "$root/etc/sudoers.d/admin"

for home in /root /home/deploy /home/admin /home/guest; do
    install -d -m 0700 "$root$home/.ssh"
    install -m 0600 "$LOGIN_KEY" "$root$home/.ssh/authorized_keys"
    chroot "$root" chown -R --reference="$home" "$home/.ssh"
done

# Each host gets a key of its own when it is made.
rm -f "$root"/etc/ssh/ssh_host_*
echo 'HostKey /etc/ssh/ssh_host_ed25519_key' > "$root/etc/ssh/sshd_config.d/hostkey.conf"
install -m 0755 "$image/start-host.sh" "$root/usr/local/sbin/start-host"

if [ -n "${PYTHON_PREFIX-}" ]; then
    tar -C "$PYTHON_PREFIX" --exclude=site-packages --exclude=test --exclude='lib*.a' -c \
        bin/python3 "bin/$(readlink "$PYTHON_PREFIX/bin/python3")" lib | tar -C "$root/usr/local" -x --no-same-owner
    for library in "$root"/usr/local/lib/python3.*; do mkdir "$library/site-packages"; done
    ln -s /usr/local/bin/python3 "$root/usr/bin/python3"
    chroot "$root" ldconfig
    chroot "$root" python3 -c 'import bz2, ctypes, lzma, readline, sqlite3, ssl, zlib'
fi
for packages in "$root"/usr/local/lib/python3.*/*-packages; do
    cp -r "$PACKAGES/." "$packages/"
    chroot "$root" python3 -m compileall -q "${packages#"$root"}"
done
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
rm -rf "$root/usr/share/doc" "$root/usr/share/info" "$root/usr/share/locale" "$root/usr/share/man"
