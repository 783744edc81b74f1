// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && !darwin && (!linux || portable)

package fsys

import "time"

// GrainOf would give the step in which the file system of a device keeps times of modification.
func GrainOf(uint64) time.Duration { return 1 }
