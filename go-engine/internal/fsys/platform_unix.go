// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix && !linux && !darwin

package fsys

// FoldsCase says whether names that differ in case are the same, where nothing is there to ask the file system by.
const FoldsCase = false
