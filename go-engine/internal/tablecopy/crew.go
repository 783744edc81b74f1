// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"sync"
)

// task is one piece of work; its error ends the job.
type task func(ctx context.Context, p *pair) error

// crew is the queue between those who find work and the workers. It ends when the finder is done and nothing is left,
// for a piece of work may bring about more.
type crew struct {
	mutex   sync.Mutex
	changed *sync.Cond
	room    int
	urgent  []task // before queued: what ends a table, which may take long
	queued  []task
	open    int // pieces queued or in work, and the finder
	stopped bool
	err     error
}

func newCrew(room int) *crew {
	c := &crew{room: room, open: 1}
	c.changed = sync.NewCond(&c.mutex)
	return c
}

// put queues a piece of work as soon as there is room; false: the work was stopped.
func (c *crew) put(work task) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for len(c.queued) >= c.room && !c.stopped {
		c.changed.Wait()
	}
	if c.stopped {
		return false
	}
	c.queued = append(c.queued, work)
	c.open++
	c.changed.Broadcast()
	return true
}

// push queues a piece of work that must not wait.
func (c *crew) push(work task) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.urgent = append(c.urgent, work)
	c.open++
	c.changed.Broadcast()
}

// take waits for work; nil: there will be no more.
func (c *crew) take() task {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for {
		if c.stopped || c.open == 0 {
			return nil
		}
		for _, queue := range []*[]task{&c.urgent, &c.queued} {
			if len(*queue) > 0 {
				work := (*queue)[0]
				*queue = (*queue)[1:]
				c.changed.Broadcast()
				return work
			}
		}
		c.changed.Wait()
	}
}

// done counts off a piece of work, or the finder; an error stops the rest.
func (c *crew) done(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.open--
	c.stop(err)
	c.changed.Broadcast()
}

func (c *crew) stop(err error) {
	if err != nil && !c.stopped {
		c.stopped, c.err = true, err
	}
}

// work lets the workers do what find puts into the crew.
func (j *job) work(ctx context.Context, find func(ctx context.Context, c *crew) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	c := newCrew(2 * j.workers)
	end := func(err error) {
		c.done(err)
		if err != nil {
			cancel()
		}
	}
	defer context.AfterFunc(inner, func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.stop(inner.Err())
		c.changed.Broadcast()
	})()
	var all sync.WaitGroup
	all.Go(func() { end(find(inner, c)) })
	for _, p := range j.pairs {
		all.Go(func() {
			for work := c.take(); work != nil; work = c.take() {
				j.Meter.Begin()
				err := work(inner, p)
				j.Meter.End()
				end(err)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.err
}
