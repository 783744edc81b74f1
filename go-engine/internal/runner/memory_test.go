// SPDX-License-Identifier: GPL-3.0-or-later

package runner

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/meter"
	"migration.assistant/engine/internal/wire"
)

func TestGarbageIsCollectedFromTheThresholdOn(t *testing.T) {
	// Without a limit nothing would be collected.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	stop := watchMemory(&wire.Job{MemoryLimit: 1 << 30, GCThreshold: 10}, meter.New(), cancel)
	var stats runtime.MemStats
	most := uint64(0)
	for range 600 {
		garbage := make([]byte, 1<<20)
		for index := range garbage {
			garbage[index] = 1
		}
		runtime.ReadMemStats(&stats)
		most = max(most, stats.HeapAlloc)
	}
	stop()
	if most > 200<<20 {
		t.Errorf("%d MB were in use, of which 1 MB was needed", most>>20)
	}
	if ctx.Err() != nil {
		t.Errorf("the job was ended: %v", context.Cause(ctx))
	}
}

func TestAJobThatTakesMoreThanTheLimitEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	m := meter.New()
	limit := m.ResidentMemory() + 100<<20
	stop := watchMemory(&wire.Job{MemoryLimit: limit, GCThreshold: 80}, m, cancel)
	defer stop()
	needed := make([][]byte, 0, 200)
	for len(needed) < cap(needed) && ctx.Err() == nil {
		part := make([]byte, 1<<20)
		for index := range part {
			part[index] = 1
		}
		needed = append(needed, part)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
	}
	runtime.KeepAlive(needed)
	var failure *wire.Failure
	if !errors.As(context.Cause(ctx), &failure) || failure.Code != wire.MemoryExceeded || !failure.Resumable() {
		t.Fatalf("the job was not ended by its memory: %v", context.Cause(ctx))
	}
	if !strings.Contains(failure.Message, "memory_limit allows") {
		t.Errorf("the message is %s", failure.Message)
	}
}
