// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

// Room is what is left of a file system for this user.
type Room struct {
	Bytes     uint64
	NoEntries bool // no further file or directory can be made
	// Entries is how many files and directories can be made; the greatest number where there is no limit.
	Entries uint64
}
