// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// KeepsChangeTime tells whether the file is in a file system where a change always shows in the time of change. Others
// are changed by other hosts, or leave out what is written through a memory map.
func (f File) KeepsChangeTime() bool {
	var found unix.Statfs_t
	if unix.Fstatfs(f.descriptor(), &found) != nil {
		return false
	}
	switch uint32(found.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC:
		return true // ext2 and ext3 have the number of ext4
	}
	return false
}

// WriteBack waits until what was written to the file is handed to its disk. What is written through a memory map from
// then on changes the file's times; before, a page that had been written already did not.
func (f File) WriteBack() error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	return unix.SyncFileRange(f.descriptor(), 0, 0, all)
}
