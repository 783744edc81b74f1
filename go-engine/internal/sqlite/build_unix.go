// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"errors"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// setup holds for a file of which nothing outlives a crash of the system: a partial file of another boot is thrown
// away. Rows and index entries arrive in order, so that a small cache serves as well as a large one, whose pages this
// SQLite would have to allocate one by one.
var setup = []string{
	"PRAGMA main.synchronous = OFF", "PRAGMA main.journal_mode = DELETE", "PRAGMA main.cache_size = -2000",
	"PRAGMA main.secure_delete = OFF",
}

// predictOrBuild gives the rows of each table.
func (j *job) predictOrBuild() ([]int64, error) {
	if j.DryRun {
		return j.predict()
	}
	p, err := openPartial(j)
	if err != nil {
		return nil, err
	}
	defer p.file.Close()
	rows, err := j.fill(p)
	if err != nil {
		return nil, err
	}
	return rows, j.publish(p)
}

// predict counts what a build would do, with an empty destination in memory.
func (j *job) predict() ([]int64, error) {
	c, err := connect(j.ctx, ":memory:")
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.run(j.prepare); err != nil {
		return nil, err
	}
	if err := c.attach(j.parameters); err != nil {
		return nil, err
	}
	if err := c.holdSnapshot(j.parameters); err != nil {
		return nil, err
	}
	rows, err := j.countSource(c)
	if err != nil {
		return nil, err
	}
	for index := range j.tables {
		t := &j.tables[index]
		if t.count == "" {
			continue
		}
		j.copied(differences{inserted: rows[index]})
		if t.next != "" && rows[index] > 0 {
			j.count.Chunks += (rows[index] + j.chunkRows - 1) / j.chunkRows
		} else {
			j.count.Chunks++
		}
	}
	return rows, nil
}

func (j *job) reportBuild(rows []int64) {
	action := "create"
	if j.destinationExists {
		action = "update"
	}
	j.Change(action, "database", ".", nil, nil)
	for _, item := range j.removed {
		j.Change("delete", item.kind, wire.Path(item.name), nil, nil)
	}
	for index := range j.tables {
		j.createdTable(&j.tables[index], rows[index], "create")
	}
	for index := range j.objects {
		j.createdObject(&j.objects[index])
	}
}

// builder fills the partial file.
type builder struct {
	*job
	c           *connection
	ledger      *ledger
	sourceState string
	fresh       bool
}

func (j *job) fill(p *partial) ([]int64, error) {
	b := &builder{job: j, sourceState: fingerprint(j.source)}
	if err := b.open(p); err != nil {
		return nil, err
	}
	rows, err := b.build()
	b.c.close()
	var failure *wire.Failure
	if errors.As(err, &failure) && failure.Code == wire.VerificationFailed {
		err = errors.Join(err, p.discard())
	}
	if err != nil {
		return nil, err
	}
	status, err := p.file.Stat()
	if err != nil {
		return nil, err
	}
	j.Meter.BytesDone.Store(status.Size())
	return rows, nil
}

// open connects to the partial file, and empties it first if it cannot be continued.
func (b *builder) open(p *partial) error {
	var err error
	if b.fresh, err = p.empty(); err != nil {
		return err
	}
	if err := b.connect(p); err != nil {
		return err
	}
	if b.fresh {
		return nil
	}
	b.ledger.load()
	boot := fsys.BootID()
	if b.resume && boot != "" && b.ledger.entries["boot"] == boot && b.ledger.entries["digest"] == b.digest {
		return nil
	}
	b.fresh = true
	b.c.close()
	if err := p.discard(); err != nil {
		return err
	}
	return b.connect(p)
}

func (b *builder) connect(p *partial) error {
	c, err := connect(b.ctx, uri(p.path, "rw"))
	b.c, b.ledger = c, &ledger{c: c, entries: map[string]string{}}
	return err
}

func (b *builder) build() ([]int64, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	rows, err := b.countSource(b.c)
	if err != nil {
		return nil, err
	}
	if err := b.repair(); err != nil {
		return nil, err
	}
	for index := range b.tables {
		if err := b.load(index, rows[index]); err != nil {
			return nil, err
		}
	}
	if err := b.addObjects(); err != nil {
		return nil, err
	}
	if err := b.c.transaction("DEFERRED", b.copySettings); err != nil {
		return nil, err
	}
	if err := b.verifyRows(b.c, rows); err != nil {
		return nil, err
	}
	b.c.releaseSnapshot()
	if err := b.ledger.drop(); err != nil {
		return nil, err
	}
	return rows, b.c.query("PRAGMA main.journal_mode = " + b.journalMode)
}

func (b *builder) begin() error {
	if b.fresh {
		if err := b.c.run(b.prepare); err != nil {
			return err
		}
	}
	if err := b.c.run(setup); err != nil {
		return err
	}
	if err := b.c.attach(b.parameters); err != nil {
		return err
	}
	if err := b.c.holdSnapshot(b.parameters); err != nil {
		return err
	}
	if !b.fresh {
		return nil
	}
	return b.c.transaction("DEFERRED", func() error {
		return errors.Join(b.ledger.create(), b.ledger.write("boot", fsys.BootID()), b.ledger.write("digest", b.digest),
			b.ledger.write("source", b.sourceState))
	})
}

// repair takes over what an earlier run has loaded; where the source has changed since, it repairs it row by row.
func (b *builder) repair() error {
	unchanged := b.ledger.entries["source"] == b.sourceState
	for index := range b.tables {
		rows, _ := b.ledger.number("rows", index)
		if rows == 0 {
			continue
		}
		if !unchanged {
			var err error
			if rows, err = b.repairTable(index, rows); err != nil {
				return err
			}
		}
		b.count.ResumedRows += rows
		b.Meter.ItemsDone.Add(rows)
	}
	if unchanged {
		return nil
	}
	return b.c.transaction("DEFERRED", func() error { return b.ledger.write("source", b.sourceState) })
}

// repairTable completes a table that was begun, and tells how many of its rows could stay.
func (b *builder) repairTable(index int, rows int64) (kept int64, err error) {
	t := &b.tables[index]
	b.step("compare", t.name)
	var found differences
	err = b.c.transaction("DEFERRED", func() error {
		var err error
		if found, err = b.c.compare(t); err != nil {
			return err
		}
		if err := b.c.run([]string{t.remove, t.insert}); err != nil {
			return err
		}
		kept = rows - found.updated - found.deleted
		return b.finish(index, kept+found.updated+found.inserted)
	})
	if err == nil {
		b.copied(found)
		b.Meter.ItemsDone.Add(found.inserted + found.updated)
	}
	return kept, err
}

func (b *builder) load(index int, total int64) error {
	t := &b.tables[index]
	rows, begun := b.ledger.number("rows", index)
	if !begun {
		err := b.c.transaction("DEFERRED", func() error {
			if err := b.c.run(t.create); err != nil {
				return err
			}
			return b.ledger.write(ledgerKey("rows", index), 0)
		})
		if err != nil {
			return err
		}
		failpoint.Hit("database.table_created")
	}
	finished, _ := b.ledger.number("finished", index)
	for done := finished == 1 || t.count == ""; !done; {
		b.step("load", t.name)
		added, last, err := b.loadChunk(index, rows, total)
		if err != nil {
			return err
		}
		failpoint.Hit("database.chunk_committed")
		rows, done = rows+added, last
		if rows != total && (done || added == 0) {
			return wire.Fail(wire.DatabaseError, "%s: %d rows came instead of %d", t.name, rows, total)
		}
		b.copied(differences{inserted: added})
		b.count.Chunks++
		b.Meter.ItemsDone.Add(added)
	}
	return nil
}

// loadChunk copies the rows after those that are there; they and the ledger's entry are one transaction.
func (b *builder) loadChunk(index int, rows, total int64) (added int64, last bool, err error) {
	t := &b.tables[index]
	err = b.c.transaction("DEFERRED", func() error {
		var err error
		if added, err = b.insertChunk(t, rows, total); err != nil {
			return err
		}
		if last = t.next == "" || rows+added >= total; last {
			err = b.finish(index, rows+added)
		} else {
			err = b.ledger.write(ledgerKey("rows", index), rows+added)
		}
		failpoint.Hit("database.chunk_written")
		return err
	})
	return added, last, err
}

func (b *builder) insertChunk(t *table, rows, total int64) (int64, error) {
	if t.next == "" {
		return b.c.exec(t.first)
	}
	if rows > 0 {
		if err := b.c.run(t.locate); err != nil {
			return 0, err
		}
		return b.c.exec(t.next, b.chunkRows)
	}
	whole := int64(0)
	if t.all != "" && total <= b.chunkRows {
		whole = 1
		if t.allIf != "" {
			if err := b.c.scan(t.allIf, &whole); err != nil {
				return 0, err
			}
		}
	}
	if whole == 1 {
		return b.c.exec(t.all)
	}
	return b.c.exec(t.first, b.chunkRows)
}

func (b *builder) finish(index int, rows int64) error {
	if err := b.c.run(b.tables[index].sequence); err != nil {
		return err
	}
	if err := b.ledger.write(ledgerKey("rows", index), rows); err != nil {
		return err
	}
	return b.ledger.write(ledgerKey("finished", index), 1)
}

func (b *builder) addObjects() error {
	for index := range b.objects {
		o := &b.objects[index]
		if _, done := b.ledger.number("object", index); done {
			continue
		}
		b.step("schema", o.name)
		err := b.c.transaction("DEFERRED", func() error {
			if _, err := b.c.exec(o.create); err != nil {
				return err
			}
			return b.ledger.write(ledgerKey("object", index), 1)
		})
		if err != nil {
			return err
		}
		failpoint.Hit("database." + o.kind + "_created")
	}
	return nil
}

func (b *builder) copySettings() error {
	for _, name := range b.settings {
		if err := b.c.copySetting(name); err != nil {
			return err
		}
	}
	return nil
}
