// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "golang.org/x/sys/unix"

// KeepsAccessLists says whether access control lists are kept: here they are extended attributes.
const KeepsAccessLists = true

// FoldsCase says whether names that differ in case are the same, where nothing is there to ask the file system by.
const FoldsCase = false

// noAttribute is the error for an extended attribute that is not there.
const noAttribute = unix.ENODATA
