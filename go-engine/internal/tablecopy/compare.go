// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"strconv"
	"sync"

	"migration.assistant/engine/internal/wire"
)

// digest is what a server says of a range: how many rows, and a hash of their contents.
type digest struct {
	rows int64
	hash string
}

func (l *link) hash(ctx context.Context, sql string) (digest, error) {
	row, err := l.first(ctx, sql, 2)
	if err != nil {
		return digest{}, err
	}
	if row == nil || row[0] == nil {
		return digest{}, wire.Fail(wire.DatabaseError, "%s: no hash came", l.name)
	}
	found := digest{}
	if found.rows, err = strconv.ParseInt(*row[0], 10, 64); err != nil {
		return digest{}, wire.Fail(wire.DatabaseError, "%s: %q is no count", l.name, *row[0])
	}
	if row[1] != nil { // none of no rows
		found.hash = *row[1]
	}
	return found, nil
}

// bothAtOnce runs what asks either side, and gives the first error of the source, else that of the destination.
func bothAtOnce(source, destination func() error) error {
	var there error
	var ended sync.WaitGroup
	ended.Go(func() { there = destination() })
	err := source()
	ended.Wait()
	if err == nil {
		err = there
	}
	return err
}

// hashes gives the digest of a chunk on both sides.
func (j *job) hashes(ctx context.Context, p *pair, t *table, part chunk) (source, destination digest, err error) {
	err = bothAtOnce(func() (err error) {
		source, err = p.source.hash(ctx, inRange(t.hashSource, t.rangeSource, part))
		return err
	}, func() (err error) {
		destination, err = p.destination.hash(ctx, inRange(t.hashDestination, t.rangeDestination, part))
		return err
	})
	return source, destination, err
}

// difference is what a chunk of the destination lacks to be as that of the source.
type difference struct {
	part   chunk
	source digest
	rows   tally
	remove []string // keys of what is to go
	write  []string // keys of what is to come
	whole  bool     // too much differs for keys: all of the range is to go and to come
}

// fewKeys is how many rows are always repaired by their keys.
const fewKeys = 1000

// differ compares the rows of a chunk by their digests. In memory are the source's rows of one chunk, and no more of the
// destination than would be repaired by keys.
func (j *job) differ(ctx context.Context, p *pair, t *table, part chunk, source, destination digest) (*difference, error) {
	d := &difference{part: part, source: source, rows: tally{source: source.rows}}
	if t.digestsSource == "" {
		d.whole = true
		d.rows.inserted, d.rows.deleted = source.rows, destination.rows
		return d, nil
	}
	rows := make(rowDigests, source.rows)
	err := p.source.query(ctx, inRange(t.digestsSource, t.rangeSource, part), func(row [][]byte) error {
		return rows.add(row)
	})
	if err != nil {
		return nil, err
	}
	most := max(fewKeys, source.rows/2)
	if t.deleteRange == "" {
		most = max(source.rows, destination.rows)
	}
	found := d.match(rows, most)
	err = p.destination.query(ctx, inRange(t.digestsDestination, t.rangeDestination, part), found)
	d.missing(rows, most)
	return d, err
}

// rowDigests are the hashes of rows by their keys.
type rowDigests map[string]string

var errDigestColumns = wire.Fail(wire.DatabaseError, "the digest of a row must have 2 columns")

// What stands in the place of a hash once the destination's row was seen. No hash is as short.
const (
	seenEqual     = "="
	seenDifferent = "!"
)

func (rows rowDigests) add(row [][]byte) error {
	if len(row) != 2 {
		return errDigestColumns
	}
	rows[string(row[0])] = string(row[1])
	return nil
}

// match gives what looks at each row of the destination for one of the source. Above most keys that differ, all of the
// chunk is to be replaced, and they are only counted.
func (d *difference) match(rows rowDigests, most int64) func(row [][]byte) error {
	keep := func(key string, comesAgain bool) {
		if d.whole = d.whole || d.rows.updated+d.rows.deleted > most; d.whole {
			d.remove, d.write = nil, nil
			return
		}
		d.remove = append(d.remove, key)
		if comesAgain {
			d.write = append(d.write, key)
		}
	}
	return func(row [][]byte) error {
		if len(row) != 2 {
			return errDigestColumns
		}
		key := string(row[0])
		switch hash, found := rows[key]; {
		case !found:
			d.rows.deleted++
			keep(key, false)
		case hash == seenDifferent: // one more row of this key, which goes with the others
			d.rows.deleted++
		case hash == seenEqual: // so too, but then the one that was equal has to come again
			d.rows.deleted++
			rows[key] = seenDifferent
			keep(key, true)
		case hash == string(row[1]):
			rows[key] = seenEqual
		default:
			d.rows.updated++
			rows[key] = seenDifferent
			keep(key, true)
		}
		return nil
	}
}

// missing adds the rows that the destination does not have.
func (d *difference) missing(rows rowDigests, most int64) {
	var keys []string
	for key, hash := range rows {
		if hash != seenEqual && hash != seenDifferent {
			keys = append(keys, key)
		}
	}
	d.rows.inserted = int64(len(keys))
	if d.whole || d.rows.inserted+d.rows.updated+d.rows.deleted > most {
		d.whole, d.remove, d.write = true, nil, nil
		return
	}
	d.write = append(d.write, keys...)
}

// compareGuarded compares the tables whose rows must not be changed, before anything is written.
func (j *job) compareGuarded(ctx context.Context) error {
	var guarded []*table
	for _, t := range j.tables {
		if t.refusal != "" && t.action == actionSync {
			guarded = append(guarded, t)
		}
	}
	if len(guarded) == 0 {
		return nil
	}
	j.step("compare", "")
	err := j.work(ctx, func(ctx context.Context, c *crew) error {
		for _, t := range guarded {
			err := j.divideFrom(ctx, c, t, whole(1), func(ctx context.Context, p *pair, part chunk) error {
				return j.persist(ctx, func(int) error { return j.compareOnly(ctx, p, t, part) })
			})
			if err = j.tableFailed(ctx, t, err); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range guarded {
		if t.failure != nil {
			return wire.Fail(t.failure.Code, "%s: %s", t.name, t.failure.Message).At(wire.Path(t.name))
		}
		t.compared = true
	}
	return nil
}

// compareOnly ends the job if a chunk differs.
func (j *job) compareOnly(ctx context.Context, p *pair, t *table, part chunk) error {
	j.step("compare", t.name)
	source, destination, err := j.hashes(ctx, p, t, part)
	if err != nil {
		return err
	}
	j.counted(&j.count.ChunksCompared, 1)
	if source != destination {
		return &problem{Failure: wire.Fail(destinationExists, "%s", t.refusal).At(wire.Path(t.name)), fatal: true}
	}
	j.wrote(t, tally{source: source.rows}, 0)
	j.passed(source.rows)
	return nil
}
