// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

// KeepsSeconds would tell it by the time of change, which is not known here.
func (s *Stat) KeepsSeconds() bool { return false }
