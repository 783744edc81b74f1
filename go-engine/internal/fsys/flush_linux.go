// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// FlushesFileSystems says whether all that was written to a file system can be brought to its disk by one call.
const FlushesFileSystems = true

// FlushFileSystem waits until all that was written to the file system of the directory is on its disk.
func (d Directory) FlushFileSystem() error { return unix.Syncfs(d.descriptor()) }

// Flush waits until the file is on its disk.
func (f File) Flush() error { return unix.Fsync(f.descriptor()) }

// Room tells what is left of the file system of the directory.
func (d Directory) Room() (Room, error) { return roomOf(d.descriptor()) }
