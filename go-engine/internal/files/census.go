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

// startCensus has the source counted beside its job, so that the progress of a long one has a whole to be a part of,
// until the function that it returns is called. What it cannot read is for the job itself to tell.
func startCensus(ctx context.Context, meter *meter.Meter, count func(context.Context) (origin.Census, error)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
		case <-time.After(censusDelay):
			if counted, err := count(ctx); err == nil {
				meter.SetTotals(counted.Items, counted.Bytes)
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// countHere counts a tree of this host.
func countHere(
	path string, list *filters.List, followed bool, closed func(*fsys.Stat) bool,
) func(context.Context) (origin.Census, error) {
	return func(ctx context.Context) (origin.Census, error) {
		root, err := origin.OpenRoot(path)
		if err != nil {
			return origin.Census{}, err
		}
		defer root.Close()
		if followed {
			root = root.Following()
		}
		return origin.Count(ctx, root, list, closed)
	}
}

func (j *syncJob) countSource() func(context.Context) (origin.Census, error) {
	parameters := j.parameters
	if tree := j.roots.source.Tree(); tree != nil {
		return func(ctx context.Context) (origin.Census, error) {
			return tree.Census(ctx, parameters.filters, parameters.oneFileSystem)
		}
	}
	var closed func(*fsys.Stat) bool
	if parameters.oneFileSystem {
		closed = j.isElsewhere
	}
	return countHere(parameters.source, parameters.filters, parameters.followSymlinks, closed)
}
