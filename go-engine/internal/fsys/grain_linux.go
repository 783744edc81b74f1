// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// grains are the steps of the types of file systems that are known to keep times in longer ones than nanoseconds.
var grains = map[string]time.Duration{
	"vfat": CoarsestGrain, "msdos": CoarsestGrain, "exfat": 10 * time.Millisecond,
	"cifs": 100, "smb3": 100, "ntfs": 100, "ntfs3": 100, "fuseblk": 100,
}

// GrainOf gives the step in which the file system of a device keeps times of modification, as far as its type tells.
func GrainOf(device uint64) time.Duration { return max(grains[fileSystemOf(device)], 1) }

// fileSystemOf gives the type of the file system that is a device; "" where that is not known.
func fileSystemOf(device uint64) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	number := fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
	for line := range strings.Lines(string(mounts)) {
		place, origin, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(place); len(fields) > 2 && fields[2] == number {
			kind, _, _ := strings.Cut(origin, " ")
			return kind
		}
	}
	return ""
}

// KeepsSeconds tells whether the entry's times are kept in whole seconds, as by ext3, by sshfs or by some servers of
// NFS, whose type does not tell. The time of change does, which the system sets by itself, to the nanosecond if it can.
func (s *Stat) KeepsSeconds() bool { return s.Changed().Nanoseconds == 0 }
