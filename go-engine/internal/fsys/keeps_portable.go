// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

// What this driver can keep of an entry, where the user may and the file system can.
const (
	KeepsOwners   = true
	KeepsModes    = true
	KeepsSpecials = false
	LinksAll      = false // symbolic links and specials may have several names
	FollowsLinks  = false // symbolic links are followed where that is asked for
)
