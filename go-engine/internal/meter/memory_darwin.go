// SPDX-License-Identifier: GPL-3.0-or-later

package meter

import "golang.org/x/sys/unix"

func peakMemory() int64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return usage.Maxrss
}

// residentMemory gives the peak: the present value needs Mach calls, which need cgo.
func residentMemory() int64 { return peakMemory() }
