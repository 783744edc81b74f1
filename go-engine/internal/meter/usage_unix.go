// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package meter

import (
	"time"

	"golang.org/x/sys/unix"
)

func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
