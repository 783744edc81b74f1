#!/bin/sh
# The first process of a test host: start-host [--no-acl] [--noexec FOLDER]… sshd|systemd
set -eu
while [ $# -gt 0 ]; do
    case $1 in
        --no-acl)
            rm -f /usr/bin/setfacl /usr/bin/getfacl
            ;;
        --noexec)
            shift
            mkdir -p "$1"
            mount --bind "$1" "$1"
            mount -o remount,bind,noexec "$1"
            ;;
        sshd)
            mkdir -p /run/sshd
            exec /usr/sbin/sshd -D -e
            ;;
        systemd)
            # systemd mounts its own below the control group of this host; in what Docker mounted it cannot write.
            umount -R /sys/fs/cgroup
            exec env container=docker /lib/systemd/systemd
            ;;
    esac
    shift
done
