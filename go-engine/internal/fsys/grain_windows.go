// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "time"

// GrainOf gives the step in which Windows itself has times.
func GrainOf(uint64) time.Duration { return time.Second / ticksPerSecond }
