// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import (
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Handle is a held entry whose metadata can be read and set, whatever becomes of its name.
type Handle struct {
	fd   int
	path string // of a descriptor that was opened by OpenEntry, which takes no calls by descriptor
}

// Handle gives the handle of the directory, which ends with it.
func (d Directory) Handle() Handle { return Handle{fd: d.descriptor()} }

// Handle gives the handle of the file, which ends with it.
func (f File) Handle() Handle { return Handle{fd: f.descriptor()} }

func held(fd int) Handle { return Handle{fd: fd, path: "/proc/self/fd/" + strconv.Itoa(fd)} }

// Stat reads what the entry is.
func (h Handle) Stat(stat *Stat) error { return unix.Fstat(h.fd, &stat.raw) }

// Close closes a handle from OpenEntry.
func (h Handle) Close() { closeDescriptor(h.fd) }

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
func (h Handle) SetModified(modified Time) error {
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
func (d Directory) SetLinkModified(name string, modified Time) error {
	times := modifiedOnly(modified)
	return unix.UtimesNanoAt(d.descriptor(), name, times[:], unix.AT_SYMLINK_NOFOLLOW)
}

func modifiedOnly(modified Time) [2]unix.Timespec {
	times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {}}
	// A time that the system told always fits.
	times[1], _ = unix.TimeToTimespec(time.Unix(modified.Seconds, modified.Nanoseconds))
	return times
}
