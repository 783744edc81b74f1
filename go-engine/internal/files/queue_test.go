// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestQueueHandsOutEverythingOnce(t *testing.T) {
	// Each item below the depth makes two more.
	const depth, width = 10, 100
	q := newQueue[int](8)
	first := make([]int, width)
	q.add(batch[int]{items: first}, batch[int]{})
	var done atomic.Int64
	q.run(func() func([]int) {
		return func(part []int) {
			done.Add(int64(len(part)))
			for _, level := range part {
				if level < depth {
					q.add(batch[int]{items: []int{level + 1, level + 1}, apart: level%2 == 0})
				}
			}
		}
	})
	if want := int64(width * (1<<(depth+1) - 1)); done.Load() != want {
		t.Errorf("%d items were handed out, not %d", done.Load(), want)
	}
}

func TestQueueTakesWhatIsApartOneByOne(t *testing.T) {
	q := newQueue[int](2)
	q.add(batch[int]{items: make([]int, 1000), apart: true})
	q.run(func() func([]int) {
		return func(part []int) {
			if len(part) != 1 {
				t.Errorf("%d items at once", len(part))
			}
		}
	})
}

func TestQueueSharesWhatOneWorkerHas(t *testing.T) {
	// Two batches, so that the first part is a large one, whose worker goes on only when another has a part of it.
	q := newQueue[int](2)
	q.add(batch[int]{items: []int{0}}, batch[int]{items: []int{1, 2, 3, 4}})
	var done, shared atomic.Int64
	q.run(func() func([]int) {
		return func(part []int) {
			for index := range part {
				done.Add(1)
				rest := part[index+1:]
				for len(rest) > 0 && !q.share(rest) {
					runtime.Gosched()
				}
				if len(rest) > 0 {
					shared.Add(1)
					return
				}
			}
		}
	})
	if done.Load() != 5 || shared.Load() == 0 {
		t.Errorf("%d of 5 items were done, %d parts shared", done.Load(), shared.Load())
	}
}
