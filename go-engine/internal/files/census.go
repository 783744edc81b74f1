// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"time"

	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/meter"
	"migration.assistant/engine/internal/origin"
)

// censusDelay is how long a job runs before its source is counted: one that is done by then needs no share to tell.
const censusDelay = time.Second

// census counts what there is to do, so that the progress of a long job has a whole to be a part of. What cannot be
// read is left out: that is for the job itself to tell.
type census struct {
	ctx     context.Context
	meter   *meter.Meter
	source  string
	filters *filters.List
	closed  func(*fsys.Stat) bool // tells which directories to leave alone; nil for none
	lister  fsys.Lister
	items   int64
	bytes   int64
}

// startCensus counts a tree beside its job, until the function that it returns is called.
func startCensus(ctx context.Context, meter *meter.Meter, source string, filters *filters.List,
	closed func(*fsys.Stat) bool) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
		case <-time.After(censusDelay):
			(&census{ctx: ctx, meter: meter, source: source, filters: filters, closed: closed}).run()
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (c *census) run() {
	// Opened anew: a duplicate would share its place in the listing with the walk.
	root, err := origin.OpenRoot(c.source)
	if err != nil {
		return
	}
	c.count(root, "")
	if c.ctx.Err() == nil {
		c.meter.SetTotals(c.items, c.bytes)
	}
}

// count counts what is in an open directory and below it, and closes it.
func (c *census) count(directory fsys.Directory, path string) {
	defer directory.Close()
	entries, err := c.lister.List(directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if c.ctx.Err() != nil {
			return
		}
		c.countEntry(directory, join(path, entry.Name), entry)
	}
}

func (c *census) countEntry(directory fsys.Directory, path string, entry fsys.Entry) {
	var stat fsys.Stat
	if entry.Type == 0 || entry.Type == fsys.TypeRegular {
		if directory.Lstat(entry.Name, &stat) != nil {
			return
		}
		entry.Type = stat.Type()
	}
	if c.filters.Hides(path, entry.Type == fsys.TypeDirectory) {
		return
	}
	c.items++
	switch entry.Type {
	case fsys.TypeRegular:
		c.bytes += stat.Size()
	case fsys.TypeDirectory:
		if below, err := directory.OpenDirectory(entry.Name); err == nil {
			if c.closed != nil && (below.Stat(&stat) != nil || c.closed(&stat)) {
				below.Close()
				return
			}
			c.count(below, path)
		}
	}
}
