// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Handle is a held entry whose metadata can be read and set, whatever becomes of its name.
type Handle struct {
	fd   int
	path string // of a descriptor that was opened by OpenEntry, which takes no calls by descriptor
}

// Opened makes a handle of a descriptor that is open for reading or writing.
func Opened(fd int) Handle { return Handle{fd: fd} }

// Held makes a handle of a descriptor from OpenEntry.
func Held(fd int) Handle { return Handle{fd: fd, path: "/proc/self/fd/" + strconv.Itoa(fd)} }

// Chown sets user and group; -1 leaves one as it is.
func (h Handle) Chown(user, group int) error {
	if h.path == "" {
		return unix.Fchown(h.fd, user, group)
	}
	return unix.Fchownat(h.fd, "", user, group, unix.AT_EMPTY_PATH)
}

// Chmod sets the permission bits.
func (h Handle) Chmod(mode uint32) error {
	if h.path == "" {
		return unix.Fchmod(h.fd, mode)
	}
	return unix.Chmod(h.path, mode)
}

// SetModified sets the time of modification and leaves that of access alone.
func (h Handle) SetModified(modified unix.Timespec) error {
	times := modifiedOnly(modified)
	if h.path != "" {
		return unix.UtimesNanoAt(unix.AT_FDCWD, h.path, times[:], 0)
	}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(h.fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// SetLinkModified sets the time of modification of a symbolic link.
func SetLinkModified(parent int, name string, modified unix.Timespec) error {
	times := modifiedOnly(modified)
	return unix.UtimesNanoAt(parent, name, times[:], unix.AT_SYMLINK_NOFOLLOW)
}

// ChownLink sets user and group of a symbolic link; -1 leaves one as it is.
func ChownLink(parent int, name string, user, group int) error {
	return unix.Fchownat(parent, name, user, group, unix.AT_SYMLINK_NOFOLLOW)
}

func modifiedOnly(modified unix.Timespec) [2]unix.Timespec {
	return [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, modified}
}
