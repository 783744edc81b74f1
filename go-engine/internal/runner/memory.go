// SPDX-License-Identifier: GPL-3.0-or-later

package runner

import (
	"context"
	"runtime/debug"
	"time"

	"migration.assistant/engine/internal/meter"
	"migration.assistant/engine/internal/wire"
)

const (
	memoryLook = 100 * time.Millisecond
	// memoryRest is how long after returning what is free the next time comes: that stops all work for a moment.
	memoryRest = 2 * time.Second
	mebibyte   = 1 << 20
)

// watchMemory keeps the engine within the job's memory limit, until the function that it returns is called: from the
// threshold on garbage is collected more often and given back to the system; if that is not enough, the job ends.
func watchMemory(job *wire.Job, m *meter.Meter, cancel context.CancelCauseFunc) (stop func()) {
	limit := job.MemoryLimit
	if limit == 0 {
		return func() {}
	}
	threshold := int64(float64(limit) * job.GCThreshold / 100)
	usual := debug.SetMemoryLimit(threshold)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		looks := time.NewTicker(memoryLook)
		defer looks.Stop()
		var returned time.Time
		for {
			used := m.ResidentMemory()
			if used > limit || used > threshold && time.Since(returned) > memoryRest {
				debug.FreeOSMemory()
				returned = time.Now()
				used = m.ResidentMemory()
			}
			if used > limit {
				cancel(wire.Fail(wire.MemoryExceeded, "the job takes %.1f MB of memory; memory_limit allows %.1f MB",
					float64(used)/mebibyte, float64(limit)/mebibyte))
				return
			}
			select {
			case <-end:
				return
			case <-looks.C:
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		debug.SetMemoryLimit(usual)
	}
}
