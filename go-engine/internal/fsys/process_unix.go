// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package fsys

import "golang.org/x/sys/unix"

// SetUmask sets which permission bits the system takes from new entries, and gives those of before.
func SetUmask(mask uint32) uint32 { return uint32(unix.Umask(int(mask))) }

// IsWritable tells whether this user may make entries in the directory at the path.
func IsWritable(path string) bool { return unix.Access(path, unix.W_OK|unix.X_OK) == nil }

// NamesStream tells whether a path leads to a stream of a file, which no file has here.
func NamesStream(string) bool { return false }
