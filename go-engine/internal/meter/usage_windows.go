// SPDX-License-Identifier: GPL-3.0-or-later

package meter

import (
	"runtime"
	"time"

	"golang.org/x/sys/windows"
)

func processorTime() time.Duration {
	var created, ended, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user) != nil {
		return 0
	}
	return ticks(kernel) + ticks(user)
}

// ticks reads a Filetime that holds a span, in units of 100 ns.
func ticks(span windows.Filetime) time.Duration {
	return time.Duration(int64(span.HighDateTime)<<32|int64(span.LowDateTime)) * 100
}

// peakMemory gives what the Go runtime holds, which only grows.
func peakMemory() int64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.Sys)
}

func residentMemory() int64 { return peakMemory() }
