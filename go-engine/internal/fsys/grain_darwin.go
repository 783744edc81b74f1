// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"time"

	"golang.org/x/sys/unix"
)

// grains are the steps of the types of file systems that are known to keep times in longer ones than nanoseconds.
var grains = map[string]time.Duration{
	"msdos": CoarsestGrain, "hfs": time.Second, "exfat": 10 * time.Millisecond, "smbfs": 100, "ntfs": 100,
}

// GrainOf gives the step in which the file system of a device keeps times of modification, as far as its type tells.
func GrainOf(device uint64) time.Duration {
	count, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return 1
	}
	mounts := make([]unix.Statfs_t, count)
	if count, err = unix.Getfsstat(mounts, unix.MNT_NOWAIT); err != nil {
		return 1
	}
	for index := range mounts[:min(count, len(mounts))] {
		mounted := &mounts[index]
		if uint64(mounted.Fsid.Val[0]) == device {
			return max(grains[unix.ByteSliceToString(mounted.Fstypename[:])], 1)
		}
	}
	return 1
}
