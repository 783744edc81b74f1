// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"slices"
	"strconv"

	"migration.assistant/engine/internal/wire"
)

// record is a chunk as the destination's record has it.
type record struct {
	chunk
	done bool
	rows int64
}

// divideAll finds the chunks of all tables, one after the other, somewhat ahead of the workers.
func (j *job) divideAll(ctx context.Context, c *crew) error {
	for _, t := range j.tables {
		if err := j.tableFailed(ctx, t, j.divide(ctx, c, t)); err != nil {
			return err
		}
		j.mutex.Lock()
		t.divided = true
		ended := t.inWork == 0
		j.mutex.Unlock()
		if ended {
			j.endTable(c, t)
		}
	}
	return nil
}

// queue gives a worker a part of a table; what it does when the table has failed meanwhile is nothing. false: the work
// was stopped.
func (j *job) queue(c *crew, t *table, work task) bool {
	j.mutex.Lock()
	t.inWork++
	j.mutex.Unlock()
	return c.put(func(ctx context.Context, p *pair) error {
		if !j.hasFailed(t) {
			if err := j.tableFailed(ctx, t, work(ctx, p)); err != nil {
				return err
			}
		}
		j.mutex.Lock()
		t.inWork--
		ended := t.divided && t.inWork == 0
		j.mutex.Unlock()
		if ended {
			j.endTable(c, t)
		}
		return nil
	})
}

func (j *job) divide(ctx context.Context, c *crew, t *table) error {
	switch {
	case t.compared:
		return nil
	case t.action == actionKeep:
		j.queue(c, t, func(ctx context.Context, p *pair) error { return j.countKept(ctx, p, t) })
		return nil
	case t.action == actionSync:
		return j.divideFrom(ctx, c, t, whole(1), func(ctx context.Context, p *pair, part chunk) error {
			return j.syncChunk(ctx, p, t, part)
		})
	case j.DryRun:
		j.queue(c, t, func(ctx context.Context, p *pair) error { return j.predictLoad(ctx, p, t) })
		return nil
	}
	return j.divideLoad(ctx, c, t)
}

// divideLoad takes up the recorded chunks, and goes on behind the last one.
func (j *job) divideLoad(ctx context.Context, c *crew, t *table) error {
	var records []record
	err := j.persist(ctx, func(int) (err error) {
		records, err = t.records(ctx, j.control.destination)
		return err
	})
	if err != nil {
		return err
	}
	loaded := func(ctx context.Context, p *pair, part chunk) error { return j.loadChunk(ctx, p, t, part) }
	from := whole(1)
	for _, r := range records {
		if t.rangeSource == nil && (r.low != nil || r.high != nil) {
			return wire.Fail(wire.SourceChanged, "chunks are recorded of a table that this plan does not divide; run again")
		}
		t.found = append(t.found, r.chunk)
		if r.done {
			j.resumed(t, r.rows)
		} else if !j.queue(c, t, func(ctx context.Context, p *pair) error { return loaded(ctx, p, r.chunk) }) {
			return nil
		}
		if r.high == nil {
			return nil
		}
		from = chunk{number: r.number + 1, low: r.high}
	}
	return j.divideFrom(ctx, c, t, from, loaded)
}

// divideFrom finds the chunks from the one that begins at part, and queues work for each. While the destination records
// one, the source looks for the next.
func (j *job) divideFrom(
	ctx context.Context, c *crew, t *table, part chunk, work func(ctx context.Context, p *pair, part chunk) error,
) error {
	var err error
	if part.high, err = j.upperBound(ctx, t, part.low); err != nil {
		return err
	}
	for !j.hasFailed(t) {
		next := chunk{number: part.number + 1, low: part.high}
		err = bothAtOnce(func() (err error) {
			if part.high != nil {
				next.high, err = j.upperBound(ctx, t, next.low)
			}
			return err
		}, func() error { return j.recordChunk(ctx, t, part) })
		if err != nil {
			return err
		}
		found := part
		t.found = append(t.found, found)
		if !j.queue(c, t, func(ctx context.Context, p *pair) error { return work(ctx, p, found) }) || found.high == nil {
			return nil
		}
		part = next
	}
	return nil
}

// upperBound gives the end of the chunk that begins at low; nil: it is the last.
func (j *job) upperBound(ctx context.Context, t *table, low bound) (bound, error) {
	if !t.divisible() {
		return nil, nil
	}
	if len(t.bounds) > 0 {
		place := 0
		if low != nil {
			if place = slices.Index(t.bounds, *low) + 1; place == 0 {
				return nil, wire.Fail(wire.SourceChanged, "a recorded chunk ends at %s, which is no bound of this plan; run again", *low)
			}
		}
		if place == len(t.bounds) {
			return nil, nil
		}
		return &t.bounds[place], nil
	}
	var row []bound
	err := j.persist(ctx, func(int) (err error) {
		row, err = j.control.source.first(ctx, t.nextBound(low, j.chunkRows), 1)
		return err
	})
	if err != nil || row == nil {
		return nil, err
	}
	if low != nil && row[0] != nil && *row[0] == *low {
		return nil, wire.Fail(wire.DatabaseError, "the chunk above %s does not end", *low)
	}
	return row[0], nil
}

// divisible tells whether the table can be cut. One that is compared needs its ranges on both sides, and keys by which
// a part can be repaired.
func (t *table) divisible() bool {
	if t.rangeSource == nil || t.next == "" && len(t.bounds) == 0 {
		return false
	}
	return t.action == actionLoad || t.rangeDestination != nil && t.digestsSource != ""
}

// recordChunk records that a chunk is there to be loaded. Where a try before was cut off, it may be recorded already.
func (j *job) recordChunk(ctx context.Context, t *table, part chunk) error {
	if t.split == "" || t.action != actionLoad {
		return nil
	}
	destination := j.control.destination
	return j.persist(ctx, func(try int) error {
		if try > 0 {
			_, found, err := t.recordOfNumber(ctx, destination, part.number)
			if err != nil || found {
				return err
			}
		}
		_, err := destination.exec(ctx, t.recordOf(part, destination.driver.Literal))
		return err
	})
}

// records reads what is recorded of a table's chunks.
func (t *table) records(ctx context.Context, l *link) ([]record, error) {
	if t.chunks == "" {
		return nil, nil
	}
	var records []record
	err := l.query(ctx, t.chunks, func(row [][]byte) error {
		if len(row) != 5 {
			return wire.Fail(wire.DatabaseError, "a record of a chunk has %d columns and not 5", len(row))
		}
		number, err := strconv.ParseInt(string(row[0]), 10, 64)
		if err != nil {
			return wire.Fail(wire.DatabaseError, "a recorded chunk has the number %q", row[0])
		}
		rows, _ := strconv.ParseInt(string(row[4]), 10, 64) // null until it is done
		values := copied(row)
		records = append(records, record{
			chunk: chunk{number: number, low: values[1], high: values[2]}, done: string(row[3]) == "t", rows: rows,
		})
		return nil
	})
	return records, err
}

func (t *table) recordOfNumber(ctx context.Context, l *link, number int64) (record, bool, error) {
	records, err := t.records(ctx, l)
	if err != nil {
		return record{}, false, err
	}
	for _, r := range records {
		if r.number == number {
			return r, true, nil
		}
	}
	return record{}, false, nil
}

// resumed counts rows that an earlier run has loaded.
func (j *job) resumed(t *table, rows int64) {
	j.wrote(t, tally{source: rows}, 0)
	j.counted(&j.count.ResumedRows, rows)
	j.passed(rows)
}
