// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// SetUmask would set which permission bits the system takes from new entries.
func SetUmask(uint32) uint32 { return 0 }

// IsWritable tells whether this user may make entries in the directory at the path.
func IsWritable(path string) bool {
	// To a directory, these bits mean to add a file and to add a directory.
	handle, err := openPath(path, windows.FILE_WRITE_DATA|windows.FILE_APPEND_DATA)
	closeHandle(handle)
	return err == nil
}

// NamesStream tells whether a path leads to a stream of a file and not to an entry.
func NamesStream(path string) bool {
	return strings.Contains(path[len(filepath.VolumeName(path)):], ":")
}
