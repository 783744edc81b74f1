// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"errors"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/wire"
)

// syncChunk compares a chunk by hash, and repairs it where it differs.
func (j *job) syncChunk(ctx context.Context, p *pair, t *table, part chunk) error {
	j.step("compare", t.name)
	var uncertain *difference // of a try whose commit may have come through
	return j.persist(ctx, func(int) error {
		source, destination, err := j.hashes(ctx, p, t, part)
		if err != nil {
			return err
		}
		if source == destination {
			j.compared(source.rows)
			if uncertain != nil {
				j.repaired(t, []*difference{uncertain}, 0)
			} else {
				j.wrote(t, tally{source: source.rows}, 0)
			}
			return nil
		}
		uncertain = nil
		d, err := j.differ(ctx, p, t, part, source, destination)
		if err != nil {
			return err
		}
		if j.DryRun {
			j.compared(source.rows)
			j.repaired(t, []*difference{d}, 0)
			return nil
		}
		err = j.repair(ctx, p, t, []*difference{d})
		var known *problem
		if errors.As(err, &known) {
			if known.uncertain {
				uncertain = d
			}
			if known.conflict {
				j.mutex.Lock()
				t.deferred = append(t.deferred, d)
				j.mutex.Unlock()
				err = nil
			}
		}
		if err == nil {
			j.compared(source.rows)
		}
		return err
	})
}

func (j *job) compared(rows int64) {
	j.counted(&j.count.ChunksCompared, 1)
	j.passed(rows)
}

func (j *job) repaired(t *table, all []*difference, bytes int64) {
	for _, d := range all {
		j.wrote(t, d.rows, bytes)
		bytes = 0
		j.counted(&j.count.ChunksRepaired, 1)
	}
}

// repairDeferred repairs the chunks that need a value which must be unique while another chunk still had it: all at once,
// since they may have taken it from each other.
func (j *job) repairDeferred(ctx context.Context, p *pair, t *table) error {
	if len(t.deferred) == 0 {
		return nil
	}
	return j.persist(ctx, func(try int) error {
		if try > 0 {
			done, err := j.areEqual(ctx, p, t, t.deferred)
			if err != nil {
				return err
			}
			if done {
				j.repaired(t, t.deferred, 0)
				return nil
			}
		}
		return j.repair(ctx, p, t, t.deferred)
	})
}

// areEqual tells whether an earlier try, whose commit was cut off, came through.
func (j *job) areEqual(ctx context.Context, p *pair, t *table, all []*difference) (bool, error) {
	for _, d := range all {
		found, err := p.destination.hash(ctx, inRange(t.hashDestination, t.rangeDestination, d.part))
		if err != nil || found != d.source {
			return false, err
		}
	}
	return true, nil
}

// repair makes chunks equal in one transaction, in which first all goes that must go.
func (j *job) repair(ctx context.Context, p *pair, t *table, all []*difference) error {
	if err := j.unhookTable(ctx, p, t); err != nil {
		return err
	}
	var bytes int64
	err := p.destination.transaction(ctx, func() error {
		if err := p.destination.run(ctx, t.beforeRepair); err != nil {
			return err
		}
		for _, d := range all {
			if err := d.removeRows(ctx, p, t); err != nil {
				return err
			}
		}
		for _, d := range all {
			more, err := j.writeRows(ctx, p, t, d)
			if err != nil {
				return err
			}
			bytes += more
		}
		if err := p.destination.run(ctx, t.afterRepair); err != nil {
			return err
		}
		for _, d := range all {
			if err := j.checkRepair(ctx, p, t, d); err != nil {
				return err
			}
		}
		failpoint.Hit("table_copy.repaired")
		return nil
	})
	if err == nil {
		j.repaired(t, all, bytes)
	}
	return err
}

func (d *difference) removeRows(ctx context.Context, p *pair, t *table) error {
	switch {
	case d.whole && t.digestsSource == "":
		return p.destination.run(ctx, t.replace)
	case d.whole:
		_, err := p.destination.exec(ctx, inRange(t.deleteRange, t.rangeDestination, d.part))
		return err
	}
	for _, keys := range batches(d.remove) {
		if _, err := p.destination.exec(ctx, ofKeys(t.deleteKeys, keys)); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) writeRows(ctx context.Context, p *pair, t *table, d *difference) (bytes int64, err error) {
	if d.whole {
		_, bytes, err = j.copyRows(ctx, p, inRange(t.read, t.rangeSource, d.part), t.load)
		return bytes, err
	}
	for _, keys := range batches(d.write) {
		_, more, err := j.copyRows(ctx, p, ofKeys(t.readKeys, keys), t.load)
		if err != nil {
			return bytes, err
		}
		bytes += more
	}
	return bytes, nil
}

// checkRepair compares a repaired chunk once more: a trigger may have changed what was written.
func (j *job) checkRepair(ctx context.Context, p *pair, t *table, d *difference) error {
	if j.verify != verifyChecksum && j.verify != verifyFull {
		return nil
	}
	found, err := p.destination.hash(ctx, inRange(t.hashDestination, t.rangeDestination, d.part))
	if err != nil || found == d.source {
		return err
	}
	return wire.Fail(wire.VerificationFailed, "after its repair a chunk still differs: %s", mismatch(found, d.source))
}
