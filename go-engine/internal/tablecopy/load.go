// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"errors"
	"strconv"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/wire"
)

// errNotRecorded says that the record of a chunk could not be marked as done, by this transaction.
var errNotRecorded = errors.New("the record of the chunk was not there to be marked")

// loadChunk copies a chunk into a table that does not have it.
func (j *job) loadChunk(ctx context.Context, p *pair, t *table, part chunk) error {
	j.step("load", t.name)
	uncertain := false
	var rows, bytes int64
	return j.persist(ctx, func(try int) error {
		if try > 0 {
			there, came, err := j.arrived(ctx, p, t, part, uncertain)
			if err != nil {
				return err
			}
			if came {
				j.loaded(t, there, bytes)
				return nil
			}
			uncertain = false
		}
		err := p.destination.transaction(ctx, func() (err error) {
			read := inRange(t.read, t.rangeSource, part)
			if rows, bytes, err = j.copyRows(ctx, p, read, t.load); err != nil {
				return err
			}
			if err := markDone(ctx, p.destination, t, part, rows); err != nil {
				return err
			}
			failpoint.Hit("table_copy.chunk_loaded")
			return nil
		})
		var known *problem
		answered := errors.As(err, &known)
		uncertain = answered && known.uncertain
		if errors.Is(err, errNotRecorded) || answered && known.conflict {
			return j.doneByOthers(ctx, p, t, part, err)
		}
		if err != nil {
			return err
		}
		failpoint.Hit("table_copy.chunk_committed")
		j.loaded(t, rows, bytes)
		return nil
	})
}

func (j *job) loaded(t *table, rows, bytes int64) {
	j.wrote(t, tally{source: rows, inserted: rows}, bytes)
	j.counted(&j.count.Chunks, 1)
	j.passed(rows)
}

func markDone(ctx context.Context, l *link, t *table, part chunk, rows int64) error {
	if t.done == "" {
		return nil
	}
	marked, err := l.exec(ctx, t.doneOf(part, rows))
	if err == nil && marked != 1 {
		err = errNotRecorded
	}
	return err
}

// arrived tells whether a chunk is there after a try that was cut off; uncertain: while its commit was on its way.
// Without a record the destination's rows tell.
func (j *job) arrived(ctx context.Context, p *pair, t *table, part chunk, uncertain bool) (int64, bool, error) {
	if t.chunks != "" {
		r, _, err := t.recordOfNumber(ctx, p.destination, part.number)
		return r.rows, r.done, err
	}
	if !uncertain {
		return 0, false, nil
	}
	if t.rangeDestination == nil && (part.low != nil || part.high != nil) {
		return 0, false, wire.Fail(wire.Unreachable, "the connection was lost while chunk %d was committed, and nothing tells whether it is there", part.number)
	}
	there, err := p.destination.hash(ctx, inRange(t.hashDestination, t.rangeDestination, part))
	return there.rows, there.rows > 0, err
}

// doneByOthers takes a chunk as it is if its record says that it is done: a run that was cut off may have ended late.
func (j *job) doneByOthers(ctx context.Context, p *pair, t *table, part chunk, reason error) error {
	r, found, err := t.recordOfNumber(ctx, p.destination, part.number)
	switch {
	case err != nil:
		return err
	case found && r.done:
		j.resumed(t, r.rows)
		return nil
	case errors.Is(reason, errNotRecorded):
		return wire.Fail(wire.DatabaseError, "chunk %d cannot be recorded as done", part.number)
	}
	return reason
}

// predictLoad tells what a run would load: all rows but those that an earlier run has recorded.
func (j *job) predictLoad(ctx context.Context, p *pair, t *table) error {
	j.step("compare", t.name)
	var rows, there int64
	err := j.persist(ctx, func(int) (err error) {
		rows, err = p.source.count(ctx, t.count)
		return err
	})
	if err != nil {
		return err
	}
	err = j.persist(ctx, func(int) error {
		there = 0
		if !j.resume {
			return nil
		}
		records, err := t.records(ctx, p.destination)
		for _, r := range records {
			if r.done {
				there += r.rows
			}
		}
		return err
	})
	var unread *problem
	if errors.As(err, &unread) && !unread.fatal {
		err = nil // the record is made by a step that has not run yet
	}
	if err != nil {
		return err
	}
	there = min(there, rows)
	j.resumed(t, there)
	j.wrote(t, tally{source: rows - there, inserted: rows - there}, 0)
	parts := int64(1)
	switch {
	case t.divisible() && len(t.bounds) > 0:
		parts = int64(len(t.bounds)) + 1
	case t.divisible():
		parts = max((rows-there+j.chunkRows-1)/j.chunkRows, 1)
	}
	j.counted(&j.count.Chunks, parts)
	j.passed(rows - there)
	return nil
}

// countKept counts a table with which nothing is to be done.
func (j *job) countKept(ctx context.Context, p *pair, t *table) error {
	j.step("compare", t.name)
	return j.persist(ctx, func(int) error {
		rows, err := p.source.count(ctx, t.count)
		if err == nil {
			j.wrote(t, tally{source: rows}, 0)
		}
		return err
	})
}

// count gives the number that a statement gives.
func (l *link) count(ctx context.Context, sql string) (int64, error) {
	row, err := l.first(ctx, sql, 1)
	if err != nil {
		return 0, err
	}
	if row == nil || row[0] == nil {
		return 0, wire.Fail(wire.DatabaseError, "%s: no count came", l.name)
	}
	rows, err := strconv.ParseInt(*row[0], 10, 64)
	if err != nil {
		return 0, wire.Fail(wire.DatabaseError, "%s: %q is no count", l.name, *row[0])
	}
	return rows, nil
}
