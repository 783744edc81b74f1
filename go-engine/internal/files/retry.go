// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"errors"
	"fmt"
	"time"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// longestPause is the most that is waited before a lost connection is made anew.
const longestPause = 30 * time.Second

// withRetries does a job between two hosts once more when its connection was lost after it had been made: what is done
// already is found equal, and large files go on where they were. The statistics are the sum of all tries, as far as
// they are known here: those of a job that another host carries out are lost with its connection.
func withRetries(
	ctx context.Context, session *operations.Session, parameters *syncParameters,
	work func(context.Context, *operations.Session, *syncParameters) (any, error),
) (any, error) {
	var earlier counters
	for try := 0; ; try++ {
		statistics, err := work(ctx, session, parameters)
		known, here := statistics.(*syncStatistics)
		if here {
			known.addEarlier(&earlier)
		}
		if try >= parameters.far.retries || !parameters.far.wasLost(ctx, err) {
			return statistics, err
		}
		if here {
			earlier = known.counters
		}
		// What the other host still does for the lost connection keeps its lock until it finds out.
		parameters.far.lockTimeout = max(parameters.far.lockTimeout, parameters.far.options.Silence+strayJob)
		pause := min(time.Second<<min(try, 10), longestPause)
		session.Warning("connection_lost", fmt.Sprintf("%v; trying again in %v", err, pause), "")
		session.Again()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return statistics, ctx.Err()
		}
	}
}

// wasLost tells whether a job ended since its connection, which had been made once, was lost or cannot be made anew. One
// that never came about is an error of the job, and a login that was refused must not be tried again.
func (p *farParameters) wasLost(ctx context.Context, err error) bool {
	var failure *wire.Failure
	return p.connected && ctx.Err() == nil && !far.IsRefusal(err) && errors.As(err, &failure) && failure.Code == wire.Unreachable
}

// addEarlier adds what earlier tries did. Of what there is, the last try tells alone; what an earlier one copied was
// unchanged for it.
func (s *syncStatistics) addEarlier(earlier *counters) {
	last := s.counters
	s.counters.add(earlier)
	s.FilesTotal, s.DirectoriesTotal, s.SymlinksTotal = last.FilesTotal, last.DirectoriesTotal, last.SymlinksTotal
	s.SpecialsTotal, s.BytesTotal, s.Skipped = last.SpecialsTotal, last.BytesTotal, last.Skipped
	s.FilesNewer = last.FilesNewer
	s.FilesUnchanged = max(last.FilesUnchanged-earlier.FilesCopied, 0)
}
