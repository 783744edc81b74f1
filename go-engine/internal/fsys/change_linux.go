// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "golang.org/x/sys/unix"

// MakeDirectory makes a directory.
func MakeDirectory(parent int, name string, mode uint32) error {
	return unix.Mkdirat(parent, name, mode)
}

// MakeSymlink makes a symbolic link.
func MakeSymlink(parent int, name, target string) error {
	return unix.Symlinkat(target, parent, name)
}

// MakeSpecial makes a fifo, socket or device, with the type bits of its mode in kind.
func MakeSpecial(parent int, name string, kind, mode uint32, device uint64) error {
	return unix.Mknodat(parent, name, kind|mode, int(device))
}

// Link gives an entry a second name; a symbolic link is not followed.
func Link(oldParent int, oldName string, newParent int, newName string) error {
	return unix.Linkat(oldParent, oldName, newParent, newName, 0)
}

// Rename gives an entry another name in the same directory, in the place of what had it.
func Rename(parent int, oldName, newName string) error {
	return unix.Renameat(parent, oldName, parent, newName)
}

// Remove removes an entry that is no directory.
func Remove(parent int, name string) error { return unix.Unlinkat(parent, name, 0) }

// RemoveDirectory removes an empty directory.
func RemoveDirectory(parent int, name string) error {
	return unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
}
