// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

// Following would give a handle that follows symbolic links; see FollowsLinks.
func (d Directory) Following() Directory { return d }

// Follows tells whether symbolic links in the directory are followed.
func (d Directory) Follows() bool { return false }
