// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// IsMountedIn tells whether the directory is mounted on its place in the parent: another file system, or by a bind
// mount another part of the same one.
func (d Directory) IsMountedIn(parent Directory) (bool, error) {
	here, err := d.mount()
	if err != nil {
		return false, err
	}
	above, err := parent.mount()
	return here != above, err
}

// mount names what a directory is part of. The number is 0 where the system does not tell it.
type mount struct {
	major, minor uint32
	number       uint64
}

func (d Directory) mount() (mount, error) {
	var found unix.Statx_t
	err := unix.Statx(d.descriptor(), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &found)
	if err == unix.ENOSYS {
		var stat unix.Stat_t
		err = unix.Fstat(d.descriptor(), &stat)
		return mount{major: unix.Major(stat.Dev), minor: unix.Minor(stat.Dev)}, err
	}
	named := mount{major: found.Dev_major, minor: found.Dev_minor}
	if found.Mask&unix.STATX_MNT_ID != 0 {
		named.number = found.Mnt_id
	}
	return named, err
}
