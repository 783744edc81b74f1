// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

import "errors"

// Changed gives the time of the last change: the zero value, which is not known here.
func (s *Stat) Changed() Time { return Time{} }

// WriteBack has no use here, where no times of change are known.
func (f File) WriteBack() error { return errors.ErrUnsupported }

// KeepsChangeTime tells whether the file is in a file system whose times of change can be trusted.
func (f File) KeepsChangeTime() bool { return false }
