// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"fmt"

	"migration.assistant/engine/internal/wire"
)

// verifyAll compares what was written, at the level that the job asks for. A table that was compared by hash, or repaired
// until its hash was right, needs no more than that.
func (j *job) verifyAll(ctx context.Context) error {
	if j.verify == verifyNone {
		return nil
	}
	j.step("verify", "")
	var checked []*table
	err := j.work(ctx, func(_ context.Context, c *crew) error {
		for _, t := range j.tables {
			if t.failure != nil || t.action == actionKeep {
				continue
			}
			if checked = append(checked, t); j.verify == verifyChecksum && t.action == actionSync {
				t.checked = digest{rows: t.rows.source}
				continue
			}
			for _, part := range j.partsToVerify(t) {
				// Not by queue: the table is complete, and must not be ended again.
				proceed := c.put(func(ctx context.Context, p *pair) error {
					if j.hasFailed(t) {
						return nil
					}
					return j.tableFailed(ctx, t, j.persist(ctx, func(int) error { return j.verifyPart(ctx, p, t, part) }))
				})
				if !proceed {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range checked {
		if !t.differs {
			j.count.RowsVerified += t.checked.rows
			continue
		}
		failure := wire.Fail(wire.VerificationFailed, "%s", mismatch(t.checkedThere, t.checked))
		if err := j.tableFailed(ctx, t, failure); err != nil {
			return err
		}
	}
	return nil
}

// countEqual counts, in a dry run, the rows of what was found equal.
func (j *job) countEqual() {
	for _, t := range j.tables {
		if t.action == actionSync && t.failure == nil && t.rows == (tally{source: t.rows.source}) && j.verify != verifyNone {
			j.count.RowsVerified += t.rows.source
		}
	}
}

// mismatch says how a destination differs from its source.
func mismatch(destination, source digest) string {
	if destination.rows != source.rows {
		return fmt.Sprintf("the destination has %d rows and the source %d", destination.rows, source.rows)
	}
	return fmt.Sprintf("both sides have %d rows, with different contents", source.rows)
}

// partsToVerify gives the chunks by which a table can be compared on both sides.
func (j *job) partsToVerify(t *table) []chunk {
	if j.verify == verifyCounts || t.rangeSource == nil || t.rangeDestination == nil || len(t.found) == 0 {
		return []chunk{whole(1)}
	}
	return t.found
}

// digestsVerified is the most rows whose digests are held in memory to verify a part that could not be divided; of more
// the hash has to do.
const digestsVerified = 1_000_000

func (j *job) verifyPart(ctx context.Context, p *pair, t *table, part chunk) error {
	j.step("verify", t.name)
	look := j.hashes
	if j.verify == verifyCounts {
		look = j.counts
	}
	source, destination, err := look(ctx, p, t, part)
	equal := source == destination
	if err == nil && equal && j.verify == verifyFull && t.digestsSource != "" && source.rows <= max(j.chunkRows, digestsVerified) {
		var d *difference
		if d, err = j.differ(ctx, p, t, part, source, destination); err == nil {
			equal = !d.any()
		}
	}
	if err != nil {
		return err
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	t.checked.rows += source.rows
	t.checkedThere.rows += destination.rows
	t.differs = t.differs || !equal
	return nil
}

// counts gives the rows of a whole table on both sides.
func (j *job) counts(ctx context.Context, p *pair, t *table, _ chunk) (source, destination digest, err error) {
	err = bothAtOnce(func() (err error) {
		source.rows, err = p.source.count(ctx, t.count)
		return err
	}, func() (err error) {
		destination.rows, err = p.destination.count(ctx, t.countWritten)
		return err
	})
	return source, destination, err
}

// any tells whether any row differs.
func (d *difference) any() bool { return d.rows.inserted+d.rows.updated+d.rows.deleted > 0 }
