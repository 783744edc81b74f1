// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// MakeDirectory makes a directory.
func (d Directory) MakeDirectory(name string, mode uint32) error {
	return unix.Mkdirat(d.descriptor(), name, mode)
}

// MakeSymlink makes a symbolic link like the one that source describes.
func (d Directory) MakeSymlink(name, target string, _ *Stat) error {
	return unix.Symlinkat(target, d.descriptor(), name)
}

// MakeSpecial makes a fifo, socket or device like the one that source describes.
func (d Directory) MakeSpecial(name string, mode uint32, source *Stat) error {
	return unix.Mknodat(d.descriptor(), name, uint32(source.Type())|mode, int(source.raw.Rdev))
}

// Link gives an entry a second name; a symbolic link is not followed.
func (d Directory) Link(name string, newParent Directory, newName string) error {
	return unix.Linkat(d.descriptor(), name, newParent.descriptor(), newName, 0)
}

// Replace gives an entry another name in the same directory, in the place of what had it.
func (d Directory) Replace(oldName, newName string) error {
	return unix.Renameat(d.descriptor(), oldName, d.descriptor(), newName)
}

// Rename gives an entry another name in the same directory, which nothing may have.
func (d Directory) Rename(oldName, newName string) error {
	err := unix.Renameat2(d.descriptor(), oldName, d.descriptor(), newName, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	// The file system cannot do it, as that of NFS.
	var stat Stat
	switch err := d.Lstat(newName, &stat); err {
	case nil:
		return unix.EEXIST
	case unix.ENOENT:
		return d.Replace(oldName, newName)
	default:
		return err
	}
}

// Remove removes an entry that is no directory.
func (d Directory) Remove(name string) error { return unix.Unlinkat(d.descriptor(), name, 0) }

// RemoveDirectory removes an empty directory.
func (d Directory) RemoveDirectory(name string) error {
	return unix.Unlinkat(d.descriptor(), name, unix.AT_REMOVEDIR)
}
