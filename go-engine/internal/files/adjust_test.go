// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestFewerAtATimeWhereThatDoesNoHarm(t *testing.T) {
	const slow, fast = 0.5e6, 5e6
	for name, test := range map[string]struct {
		rate func(workers int) float64
		want []int // number of workers after each measurement
	}{
		"a slow link":           {func(int) float64 { return slow }, []int{4, 2, 1, 1, 1}},
		"fast enough":           {func(int) float64 { return fast }, []int{8, 8, 8, 8}},
		"fewer are faster":      {func(workers int) float64 { return slow * 8 / float64(workers) }, []int{4, 2, 4, 2, 2}},
		"fewer are slower":      {func(workers int) float64 { return 1e5 * float64(workers) }, []int{4, 8, 8, 8}},
		"at the threshold":      {func(int) float64 { return 2e6 }, []int{8, 8}},
		"fewer are much slower": {func(workers int) float64 { return max(float64(workers-4), 1) * 1e5 }, []int{4, 8, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &adjuster{threshold: 2e6, most: 8, allowed: 8}
			var got []int
			for range test.want {
				got = append(got, a.next(test.rate(a.allowed)))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("there are %v workers, not %v", got, test.want)
			}
		})
	}
}

func TestAHarmfulChangeIsNotTriedAgainAtOnce(t *testing.T) {
	a := &adjuster{threshold: 2e6, most: 8, allowed: 8}
	tries := 0
	for range 2 + adjustRest + 2 {
		before := a.allowed
		if a.next(1e5*float64(a.allowed)) < before {
			tries++
		}
	}
	if tries != 2 {
		t.Errorf("fewer workers were tried %d times", tries)
	}
}

func TestTheQueueKeepsToTheNumberThatIsAllowed(t *testing.T) {
	q := newQueue[int](8)
	items := make([]int, 400)
	q.add(batch[int]{items: items, apart: true})
	q.allow(2)
	var busy, most, done atomic.Int64
	q.run(func() func([]int) {
		return func(part []int) {
			now := busy.Add(1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			if done.Add(int64(len(part))) == 200 {
				q.allow(5)
			}
			if done.Load() == 100 && most.Load() > 2 {
				t.Errorf("%d workers were busy", most.Load())
			}
			time.Sleep(100 * time.Microsecond)
			busy.Add(-1)
		}
	})
	if done.Load() != 400 || most.Load() != 5 {
		t.Errorf("%d items were done, by %d workers at most", done.Load(), most.Load())
	}
}

func TestWorkersThatAreTooManyGiveBackWhatTheyHaveInHand(t *testing.T) {
	q := newQueue[int](4)
	// Batches enough that each worker takes a large part.
	for range 20 {
		q.add(batch[int]{items: make([]int, largestPart)})
	}
	var busy, done, lowered atomic.Int64
	q.run(func() func([]int) {
		return func(part []int) {
			busy.Add(1)
			defer busy.Add(-1)
			for index := range part {
				if done.Add(1) == 40 {
					q.allow(1)
					lowered.Store(1)
				}
				if lowered.Load() == 1 && done.Load() > 60 && busy.Load() > 1 {
					t.Errorf("%d workers are busy after %d items", busy.Load(), done.Load())
				}
				time.Sleep(time.Millisecond)
				if q.share(part[index+1:]) {
					return
				}
			}
		}
	})
	if done.Load() != 20*largestPart {
		t.Errorf("%d items were done", done.Load())
	}
}
