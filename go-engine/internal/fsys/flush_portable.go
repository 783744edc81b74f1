// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

import "errors"

// FlushesFileSystems says whether all that was written to a file system can be brought to its disk by one call.
const FlushesFileSystems = false

// FlushFileSystem would wait until all that was written to the file system of the directory is on its disk.
func (d Directory) FlushFileSystem() error { return errors.ErrUnsupported }

// Flush waits until the file is on its disk.
func (f File) Flush() error { return f.file.Sync() }

// Room tells what is left of the file system of the directory.
func (d Directory) Room() (Room, error) { return roomOf(int(d.file.Fd())) }
