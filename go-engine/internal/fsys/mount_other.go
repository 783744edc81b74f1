// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

// IsMountedIn tells whether the directory is in another file system than its parent.
func (d Directory) IsMountedIn(parent Directory) (bool, error) {
	var here, above Stat
	if err := d.Stat(&here); err != nil {
		return false, err
	}
	err := parent.Stat(&above)
	return here.Identity().Device != above.Identity().Device, err
}
