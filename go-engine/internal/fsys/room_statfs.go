// SPDX-License-Identifier: GPL-3.0-or-later

//go:build linux || darwin

package fsys

import "math"

// newRoom makes a Room of the numbers of statfs. Some file systems make room for entries as they need it, and tell that
// there are none at all.
func newRoom(bytes, entries, freeEntries uint64) Room {
	if entries == 0 {
		return Room{Bytes: bytes, Entries: math.MaxUint64}
	}
	return Room{Bytes: bytes, NoEntries: freeEntries == 0, Entries: freeEntries}
}
