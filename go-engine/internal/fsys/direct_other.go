// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

// CopyDirect copies nothing: this system's cache of files cannot be passed by.
func CopyDirect(_, _ File, _, _ int64, _ Step) (int64, error) { return 0, nil }
