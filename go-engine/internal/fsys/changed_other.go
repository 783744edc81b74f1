// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

import "errors"

// WriteBack has no use here, where no time of change is trusted.
func (f File) WriteBack() error { return errors.ErrUnsupported }

// KeepsChangeTime tells whether the file is in a file system whose times of change can be trusted.
func (f File) KeepsChangeTime() bool { return false }
