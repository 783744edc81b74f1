// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	directoryFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	// O_NONBLOCK: a fifo that took the file's place must not block us.
	fileFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
)

var isRoot = os.Geteuid() == 0

// OpenRoot opens a directory by its path; symbolic links in it are followed.
func OpenRoot(path string) (int, error) {
	return openAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// OpenDirectory opens the directory of that name.
func OpenDirectory(parent int, name string) (int, error) {
	return openQuietly(parent, name, directoryFlags)
}

// OpenFile opens the file of that name for reading. The caller checks by Fstat that it is what it expects.
func OpenFile(parent int, name string) (int, error) {
	return openQuietly(parent, name, fileFlags)
}

// OpenEntry opens an entry of any type but for calls that need no more than a Handle.
func OpenEntry(parent int, name string) (int, error) {
	return openAt(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// CreateFile makes a file for writing, and for reading too if readable. It must not exist.
func CreateFile(parent int, name string, mode uint32, readable bool) (int, error) {
	access := unix.O_WRONLY
	if readable {
		access = unix.O_RDWR
	}
	return openAt(parent, name, access|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
}

// openQuietly leaves the access time alone where that is allowed: to root, and to the owner, which a user finds out
// by trying.
func openQuietly(parent int, name string, flags int) (int, error) {
	fd, err := openAt(parent, name, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		return openAt(parent, name, flags, 0)
	}
	return fd, err
}

func openAt(parent int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(parent, name, flags, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Close closes a descriptor. Errors do not matter: nothing that we write is only written by close.
func Close(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// RaiseDescriptorLimit allows as many open descriptors as the system lets us have: every directory on the way down
// stays open.
func RaiseDescriptorLimit() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < limit.Max {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}

// Lock takes the exclusive lock of a directory without waiting: unix.EWOULDBLOCK tells that another has it.
func Lock(directory int) error {
	return unix.Flock(directory, unix.LOCK_EX|unix.LOCK_NB)
}
