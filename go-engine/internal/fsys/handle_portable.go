// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Handle is a held entry whose metadata can be read and set. Its time is set by its name; the rest is too where
// there is no file, which is where this user could not read it, and of a symbolic link.
type Handle struct {
	root *os.Root // its directory
	name string
	file *os.File
}

// Handle gives the handle of the directory, which ends with it.
func (d Directory) Handle() Handle { return Handle{d.root, ".", d.file} }

// Handle gives the handle of the file, which ends with it.
func (f File) Handle() Handle { return Handle(f) }

// Stat reads what the entry is.
func (h Handle) Stat(stat *Stat) error {
	if h.file != nil {
		return stat.take(h.file.Stat())
	}
	return stat.take(h.root.Lstat(h.name))
}

// Close closes a handle from OpenEntry.
func (h Handle) Close() { File(h).Close() }

// Chown sets user and group; -1 leaves one as it is.
func (h Handle) Chown(user, group int) error {
	if h.file != nil {
		return h.file.Chown(user, group)
	}
	return h.root.Lchown(h.name, user, group)
}

// Chmod sets the permission bits.
func (h Handle) Chmod(mode uint32) error {
	if h.file != nil {
		return h.file.Chmod(fileMode(mode))
	}
	return h.root.Chmod(h.name, fileMode(mode))
}

// SetModified sets the time of modification and leaves that of access alone.
func (h Handle) SetModified(modified Time) error {
	set := func() error { return h.root.Chtimes(h.name, time.Time{}, modified.time()) }
	err := set()
	if h.name != "." || !os.IsPermission(err) {
		return err
	}
	// The owner has closed the directory to himself, and with it the name.
	var stat Stat
	if err := h.Stat(&stat); err != nil {
		return err
	}
	if err := h.Chmod(stat.Permissions() | 0o100); err != nil {
		return err
	}
	err = set()
	if failed := h.Chmod(stat.Permissions()); err == nil {
		err = failed
	}
	return err
}

func (t Time) time() time.Time { return time.Unix(t.Seconds, t.Nanoseconds) }

// SetLinkModified sets the time of modification of a symbolic link, and that of access with it.
func (d Directory) SetLinkModified(name string, modified Time) error {
	// A time that the system told always fits.
	spec, _ := unix.TimeToTimespec(modified.time())
	return unix.UtimesNanoAt(int(d.file.Fd()), name, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW)
}
