// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// MakeDirectory makes a directory.
func (d Directory) MakeDirectory(name string, mode uint32) error {
	return d.root.Mkdir(name, fileMode(mode))
}

// MakeSymlink makes a symbolic link like the one that source describes.
func (d Directory) MakeSymlink(name, target string, _ *Stat) error {
	return d.root.Symlink(target, name)
}

// MakeSpecial would make a fifo, socket or device.
func (d Directory) MakeSpecial(_ string, _ uint32, _ *Stat) error { return errors.ErrUnsupported }

// Link gives an entry a second name; a symbolic link is not followed. os.Root can do so only within itself.
func (d Directory) Link(name string, newParent Directory, newName string) error {
	return unix.Linkat(int(d.file.Fd()), name, int(newParent.file.Fd()), newName, 0)
}

// Replace gives an entry another name in the same directory, in the place of what had it.
func (d Directory) Replace(oldName, newName string) error { return d.root.Rename(oldName, newName) }

// Rename gives an entry another name in the same directory, which nothing may have.
func (d Directory) Rename(oldName, newName string) error {
	switch _, err := d.root.Lstat(newName); {
	case err == nil:
		return syscall.EEXIST
	case !IsNotExist(err):
		return err
	}
	return d.Replace(oldName, newName)
}

// Remove removes an entry that is no directory.
func (d Directory) Remove(name string) error {
	var stat Stat
	if err := d.Lstat(name, &stat); err != nil {
		return err
	}
	if stat.IsDirectory() {
		return syscall.EISDIR
	}
	return d.root.Remove(name)
}

// RemoveDirectory removes an empty directory.
func (d Directory) RemoveDirectory(name string) error {
	var stat Stat
	if err := d.Lstat(name, &stat); err != nil {
		return err
	}
	if !stat.IsDirectory() {
		return syscall.ENOTDIR
	}
	return d.root.Remove(name)
}
