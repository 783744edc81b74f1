// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

// FoldsCase says whether names that differ in case are the same, where nothing is there to ask the file system by.
const FoldsCase = true

// What this driver can keep of an entry. KeepsModes is false: there is no more than the read-only attribute.
const (
	KeepsOwners   = false
	KeepsModes    = false
	KeepsSpecials = false
	LinksAll      = false // symbolic links and specials may have several names
	FollowsLinks  = false // symbolic links are followed where that is asked for
)
