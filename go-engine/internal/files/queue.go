// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync"
	"sync/atomic"
)

// queue hands out work to a fixed number of workers, the newest first: the walk goes down before it goes on, which
// keeps few directories open. It is empty when no work is left and no worker is busy, who could add more.
type queue[T any] struct {
	mutex   sync.Mutex
	changed sync.Cond
	stack   []batch[T]
	busy    int
	waiting atomic.Int32
	workers int
	allowed int          // how many may be busy
	excess  atomic.Int32 // how many are to give back what they have in hand
}

// batch is what belongs together. Several workers may take parts of it, each a single item if apart says so.
type batch[T any] struct {
	items []T
	apart bool
}

// largestPart bounds what one worker takes at once: enough to seldom wait for another, few enough to share evenly.
const largestPart = 32

func newQueue[T any](workers int) *queue[T] {
	q := &queue[T]{workers: workers, allowed: workers}
	q.changed.L = &q.mutex
	return q
}

// add puts batches on the stack; the last is handed out first.
func (q *queue[T]) add(batches ...batch[T]) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for _, batch := range batches {
		if len(batch.items) > 0 {
			q.stack = append(q.stack, batch)
		}
	}
	if q.waiting.Load() > 0 {
		q.changed.Broadcast()
	}
}

// run calls work in all workers until the queue is empty. start makes what one worker needs.
func (q *queue[T]) run(start func() (work func(part []T))) {
	var group sync.WaitGroup
	for range q.workers {
		group.Go(func() {
			work := start()
			for part := q.take(false); part != nil; part = q.take(true) {
				work(part)
			}
		})
	}
	group.Wait()
}

// take waits for work; nil tells that there will be none. done says that the part taken before is done.
func (q *queue[T]) take(done bool) []T {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if done {
		q.busy--
	}
	for len(q.stack) == 0 || q.busy >= q.allowed {
		if q.busy == 0 {
			q.changed.Broadcast()
			return nil
		}
		// Who waits because too many are busy has no use for a share of their work.
		idle := int32(0)
		if q.busy < q.allowed {
			idle = 1
		}
		q.waiting.Add(idle)
		q.changed.Wait()
		q.waiting.Add(-idle)
	}
	q.busy++
	top := &q.stack[len(q.stack)-1]
	part := top.items[:q.partSize(top)]
	if top.items = top.items[len(part):]; len(top.items) == 0 {
		*top = batch[T]{}
		q.stack = q.stack[:len(q.stack)-1]
	}
	return part
}

// allow lets so many workers be busy from now on, at least one. Those that are too many give back by share what they have
// in hand, or do it first.
func (q *queue[T]) allow(busy int) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.allowed = max(busy, 1)
	q.excess.Store(int32(max(q.busy-q.allowed, 0)))
	q.changed.Broadcast()
}

// partSize gives how many items of the newest batch one worker takes. While there are other batches it takes many, so
// that workers seldom meet in one directory, where they would contend for it in the kernel as well.
func (q *queue[T]) partSize(top *batch[T]) int {
	size := largestPart
	switch {
	case top.apart:
		size = 1
	case len(q.stack) == 1:
		size = max(len(top.items)/(4*q.workers), 1)
	}
	return min(size, len(top.items), largestPart)
}

// share gives the rest of a part back if other workers have nothing to do, or if fewer are wanted, and tells whether it
// did.
func (q *queue[T]) share(rest []T) bool {
	if len(rest) == 0 || q.waiting.Load() == 0 && !q.isExcess() {
		return false
	}
	q.add(batch[T]{items: rest})
	return true
}

// isExcess tells one worker for each that is too many that it is the one.
func (q *queue[T]) isExcess() bool {
	for {
		excess := q.excess.Load()
		if excess <= 0 {
			return false
		}
		if q.excess.CompareAndSwap(excess, excess-1) {
			return true
		}
	}
}
