// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "golang.org/x/sys/unix"

func roomOf(fd int) (Room, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(fd, &stat); err != nil {
		return Room{}, err
	}
	return newRoom(stat.Bavail*uint64(stat.Bsize), stat.Files, stat.Ffree), nil
}
