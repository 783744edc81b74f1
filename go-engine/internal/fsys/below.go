// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "strings"

// OpenBelow opens the directory at a path below an open one by opening each component with open; the caller closes it.
func (d Directory) OpenBelow(path string, open func(parent Directory, name string) (Directory, error)) (Directory, error) {
	current, err := d.Duplicate()
	if path == "" || err != nil {
		return current, err
	}
	for name := range strings.SplitSeq(path, "/") {
		next, err := open(current, name)
		current.Close()
		if err != nil {
			return Directory{}, err
		}
		current = next
	}
	return current, nil
}
