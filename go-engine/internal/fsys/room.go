// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "math"

// Room is what is left of a file system for this user.
type Room struct {
	Bytes     uint64
	NoEntries bool // no further file or directory can be made
	// Entries is how many files and directories can be made; the greatest number where there is no limit.
	Entries uint64
}

// newRoom makes a Room of the numbers of statfs. Some file systems make room for entries as they need it, and tell that
// there are none at all.
func newRoom(bytes, entries, freeEntries uint64) Room {
	if entries == 0 {
		return Room{Bytes: bytes, Entries: math.MaxUint64}
	}
	return Room{Bytes: bytes, NoEntries: freeEntries == 0, Entries: freeEntries}
}
