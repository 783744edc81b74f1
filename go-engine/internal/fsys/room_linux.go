// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "golang.org/x/sys/unix"

func roomOf(fd int) (Room, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(fd, &stat); err != nil {
		return Room{}, err
	}
	// Some file systems make room for entries as they need it, and tell that there are none at all.
	return Room{Bytes: stat.Bavail * uint64(stat.Frsize), NoEntries: stat.Files > 0 && stat.Ffree == 0}, nil
}
