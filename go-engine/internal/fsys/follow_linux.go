// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// Following gives the same handle as one for reading, in which, as in all that is opened through it, a symbolic link is
// what it leads to.
func (d Directory) Following() Directory {
	d.follows = true
	return d
}

// Follows tells whether symbolic links in the directory are followed.
func (d Directory) Follows() bool { return d.follows }

// forgetLinks has the types of what symbolic links lead to asked for.
func forgetLinks(entries []Entry) {
	for index := range entries {
		if entries[index].Type == TypeSymlink {
			entries[index].Type = 0
		}
	}
}

// statTarget reads what the name leads to.
func (d Directory) statTarget(name string, stat *Stat) error {
	err := unix.Fstatat(d.descriptor(), name, &stat.raw, 0)
	if err != unix.ENOENT && err != unix.ELOOP && err != unix.ENOTDIR {
		return err
	}
	if failed := unix.Fstatat(d.descriptor(), name, &stat.raw, unix.AT_SYMLINK_NOFOLLOW); failed != nil {
		return failed
	}
	if stat.IsSymlink() {
		return ErrDangling
	}
	return err
}
