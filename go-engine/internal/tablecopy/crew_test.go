// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"migration.assistant/engine/internal/meter"
	"migration.assistant/engine/internal/operations"
)

func crewOf(workers int) *job {
	p := &parameters{workers: workers}
	return newJob(&operations.Session{Meter: meter.New()}, p, nil)
}

func TestTheCrewDoesAllThatIsFoundAndWhatComesOfIt(t *testing.T) {
	j := crewOf(3)
	var done atomic.Int64
	err := j.work(t.Context(), func(_ context.Context, c *crew) error {
		for range 100 {
			c.put(func(context.Context, *pair) error {
				c.push(func(context.Context, *pair) error {
					done.Add(1)
					return nil
				})
				done.Add(1)
				return nil
			})
		}
		return nil
	})
	if err != nil || done.Load() != 200 {
		t.Errorf("%d, %v", done.Load(), err)
	}
}

func TestWhatEndsATableGoesFirst(t *testing.T) {
	j := crewOf(1)
	var order []string
	note := func(name string) task {
		return func(context.Context, *pair) error {
			order = append(order, name)
			return nil
		}
	}
	err := j.work(t.Context(), func(_ context.Context, c *crew) error {
		held := make(chan struct{})
		c.push(func(context.Context, *pair) error {
			<-held
			return nil
		})
		c.put(note("chunk"))
		c.push(note("index"))
		close(held)
		return nil
	})
	if err != nil || slices.Index(order, "chunk") < slices.Index(order, "index") {
		t.Errorf("%v, %v", order, err)
	}
}

func TestTheFirstErrorStopsTheCrew(t *testing.T) {
	j := crewOf(2)
	failure := errors.New("broken")
	var after atomic.Int64
	err := j.work(t.Context(), func(_ context.Context, c *crew) error {
		c.put(func(context.Context, *pair) error { return failure })
		for c.put(func(ctx context.Context, _ *pair) error {
			after.Add(1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
				return nil
			}
		}) {
			if after.Load() > 1000 {
				t.Error("the others go on")
				break
			}
		}
		return nil
	})
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	if err := j.work(t.Context(), func(context.Context, *crew) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}

func TestACancelledCrewEnds(t *testing.T) {
	j := crewOf(2)
	ctx, cancel := context.WithCancel(t.Context())
	err := j.work(ctx, func(_ context.Context, c *crew) error {
		for c.put(func(ctx context.Context, _ *pair) error {
			cancel()
			<-ctx.Done()
			return nil
		}) {
			continue
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
