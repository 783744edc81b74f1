// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

// What this driver can keep of an entry, where the user may and the file system can.
const (
	KeepsOwners   = true
	KeepsModes    = true
	KeepsSpecials = true
	LinksAll      = true // symbolic links and specials may have several names
	FollowsLinks  = true // symbolic links are followed where that is asked for
)
