// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/server"
	"migration.assistant/engine/internal/wire"
)

// destinationExists is the code for rows that must not be changed.
const destinationExists = "destination_exists"

// Operations gives the operation for servers that one of these drivers speaks to; they are named as engines are in jobs.
func Operations(drivers map[string]server.Driver) []operations.Operation {
	capabilities := map[string]any{}
	for name := range drivers {
		capabilities[name] = true
	}
	return []operations.Operation{{
		Name:         "table_copy",
		Prepare:      func(object *wire.Object) (operations.Work, error) { return prepare(object, drivers) },
		Capabilities: capabilities,
		CountsRows:   true,
	}}
}

func prepare(object *wire.Object, drivers map[string]server.Driver) (operations.Work, error) {
	p, err := readParameters(object)
	if err != nil {
		return nil, err
	}
	for name, end := range map[string]*server.Server{"source": &p.source, "destination": &p.destination} {
		if drivers[end.Engine] == nil {
			return nil, wire.Fail(wire.BadJob, "parameters.%s.engine is %s, which this engine does not speak to", name, end.Engine)
		}
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		j := newJob(session, p, drivers)
		defer j.close()
		err := j.run(ctx)
		for _, t := range j.tables {
			j.tellRows(t)
		}
		j.count.Changes = session.Changes()
		return &j.count, err
	}, nil
}

type statistics struct {
	Tables             int64 `json:"tables"`
	RowsTotal          int64 `json:"rows_total"`
	RowsCopied         int64 `json:"rows_copied"`
	RowsInserted       int64 `json:"rows_inserted"`
	RowsUpdated        int64 `json:"rows_updated"`
	RowsDeleted        int64 `json:"rows_deleted"`
	TablesCreated      int64 `json:"tables_created"`
	IndexesCreated     int64 `json:"indexes_created"`
	ConstraintsCreated int64 `json:"constraints_created"`
	TriggersCreated    int64 `json:"triggers_created"`
	ViewsCreated       int64 `json:"views_created"`
	Chunks             int64 `json:"chunks"`
	ChunksCompared     int64 `json:"chunks_compared"`
	ChunksRepaired     int64 `json:"chunks_repaired"`
	ResumedRows        int64 `json:"resumed_rows"`
	RowsVerified       int64 `json:"rows_verified"`
	BytesCopied        int64 `json:"bytes_copied"`
	Changes            int64 `json:"changes"`
}

// job is one copy at work. The workers share it; mutex guards count and what tables say of themselves.
type job struct {
	*operations.Session
	*parameters
	sourceSide, destinationSide side
	control                     *pair   // that of the steps, and of the splitter
	pairs                       []*pair // those of the workers
	hooks                       hooks
	mutex                       sync.Mutex
	count                       statistics
}

// table is a table and how far it is.
type table struct {
	specification
	inWork       int  // chunks queued or in work
	divided      bool // all chunks are found
	found        []chunk
	rows         tally
	relayed      int64 // bytes
	told         bool  // what became of the rows
	unhooked     bool
	deferred     []*difference // repairs that other chunks' rows are in the way of
	compared     bool          // it was found equal before anything was written
	differs      bool          // its verification found so
	checked      digest        // by that which verifies, of the source
	checkedThere digest        // and of the destination
	failure      *wire.Failure
}

// tally counts rows: those of the source as far as they are known, and what was done on the destination.
type tally struct{ source, inserted, updated, deleted int64 }

func newJob(session *operations.Session, p *parameters, drivers map[string]server.Driver) *job {
	j := &job{Session: session, parameters: p}
	j.sourceSide = side{
		name: "source", driver: drivers[p.source.Engine], server: &p.source, begin: p.begin, renewable: p.renewable,
	}
	j.destinationSide = side{
		name: "destination", driver: drivers[p.destination.Engine], server: &p.destination, renewable: true,
	}
	newPair := func() *pair {
		return &pair{source: &link{side: &j.sourceSide}, destination: &link{side: &j.destinationSide}}
	}
	j.control = newPair()
	for range p.workers {
		j.pairs = append(j.pairs, newPair())
	}
	j.count.Tables = int64(len(p.tables)) + p.proven.tables
	j.count.RowsTotal = p.proven.rows
	return j
}

func (j *job) close() {
	var all sync.WaitGroup
	for _, p := range append(j.pairs, j.control) {
		all.Go(p.close)
	}
	all.Wait()
}

func (j *job) run(ctx context.Context) error {
	if j.isProven() {
		return nil
	}
	j.estimate()
	j.step("connect", "")
	for _, l := range []*link{j.control.source, j.control.destination} {
		err := j.persist(ctx, func(int) error {
			_, err := l.get(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := j.compareGuarded(ctx); err != nil {
		return err
	}
	if err := j.runInOrder(ctx, j.prepare); err != nil {
		return err
	}
	if !j.DryRun {
		failpoint.Hit("table_copy.prepared")
	}
	if err := j.rehookAll(ctx, j.workAll(ctx)); err != nil {
		return err
	}
	return j.finishAll(ctx)
}

// workAll does what there is to do with tables, and verifies them.
func (j *job) workAll(ctx context.Context) error {
	if err := j.work(ctx, j.divideAll); err != nil {
		return err
	}
	if j.DryRun {
		j.countEqual()
	} else if err := j.verifyAll(ctx); err != nil {
		return err
	}
	return j.partialFailure()
}

func (j *job) finishAll(ctx context.Context) error {
	stages := j.finish
	if j.count.RowsInserted+j.count.RowsUpdated+j.count.RowsDeleted > 0 {
		stages = slices.Concat(stages, j.refresh)
	}
	if len(stages) > 0 {
		j.step("finish", "")
	}
	for _, stage := range stages {
		if err := j.runAtOnce(ctx, stage); err != nil {
			return err
		}
	}
	if !j.DryRun {
		failpoint.Hit("table_copy.finished")
	}
	return nil
}

// step names what the job does now; current may be empty.
func (j *job) step(phase, current string) {
	j.Meter.SetPhase(phase)
	j.Meter.SetCurrent(wire.Path(current))
}

// estimate tells how much there is to do, as far as the plan knows.
func (j *job) estimate() {
	for _, t := range j.tables {
		if t.action != actionKeep {
			j.Meter.ItemsTotal.Add(t.specification.rows)
		}
		if t.action == actionLoad {
			j.Meter.BytesTotal.Add(t.bytes)
		}
	}
}

// passed counts rows that are dealt with.
func (j *job) passed(rows int64) { advance(&j.Meter.ItemsDone, &j.Meter.ItemsTotal, rows) }

// relayed counts bytes on their way.
func (j *job) relayed(bytes int64) { advance(&j.Meter.BytesDone, &j.Meter.BytesTotal, bytes) }

// advance counts what is done, of a total that may have been estimated too low.
func advance(done, total *atomic.Int64, more int64) {
	reached := done.Add(more)
	for known := total.Load(); reached > known && !total.CompareAndSwap(known, reached); {
		known = total.Load()
	}
}

// correct puts what came of a table in the place of its estimates.
func (j *job) correct(t *table) {
	j.mutex.Lock()
	rows, bytes := t.rows.source, t.relayed
	j.mutex.Unlock()
	if t.action != actionKeep {
		j.Meter.ItemsTotal.Add(rows - t.specification.rows)
		advance(&j.Meter.ItemsDone, &j.Meter.ItemsTotal, 0)
	}
	if t.action == actionLoad {
		j.Meter.BytesTotal.Add(bytes - t.bytes)
		advance(&j.Meter.BytesDone, &j.Meter.BytesTotal, 0)
	}
}

// wrote counts what was done to a table, or in a dry run would be.
func (j *job) wrote(t *table, d tally, bytes int64) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	t.rows.source += d.source
	t.rows.inserted += d.inserted
	t.rows.updated += d.updated
	t.rows.deleted += d.deleted
	j.count.RowsTotal += d.source
	j.count.RowsInserted += d.inserted
	j.count.RowsUpdated += d.updated
	j.count.RowsDeleted += d.deleted
	j.count.RowsCopied += d.inserted + d.updated
	t.relayed += bytes
	j.count.BytesCopied += bytes
	j.Meter.RowsCopied.Store(j.count.RowsCopied)
}

// tellRows emits, once, what became of the rows of a table.
func (j *job) tellRows(t *table) {
	j.mutex.Lock()
	rows, told := t.rows, t.told
	t.told = true
	j.mutex.Unlock()
	if told || rows.inserted+rows.updated+rows.deleted == 0 {
		return
	}
	var after wire.Attributes
	after.Integer("inserted", rows.inserted)
	after.Integer("updated", rows.updated)
	after.Integer("deleted", rows.deleted)
	j.Change("update", "rows", wire.Path(t.name), nil, &after)
}

// counted adds to one of the figures.
func (j *job) counted(figure *int64, more int64) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	*figure += more
}

// tableFailed notes that a table cannot be done, so that the others go on; it returns an error that concerns them all.
func (j *job) tableFailed(ctx context.Context, t *table, err error) error {
	if err == nil {
		return nil
	}
	var p *problem
	if ctx.Err() != nil || errors.As(err, &p) && p.fatal {
		return err
	}
	var failure *wire.Failure
	if !errors.As(err, &failure) {
		failure = wire.Fail(wire.IOError, "%w", err)
	}
	j.mutex.Lock()
	first := t.failure == nil
	if first {
		t.failure = failure
	}
	j.mutex.Unlock()
	if first {
		j.EntryFailed(failure.Code, failure.Message, wire.Path(t.name))
	}
	return nil
}

func (j *job) hasFailed(t *table) bool {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return t.failure != nil
}

// partialFailure gives the failure that ends a job in which tables failed, or nil. Where all of them failed to be
// verified, that is what it is.
func (j *job) partialFailure() error {
	var failed []*table
	code := wire.VerificationFailed
	for _, t := range j.tables {
		if t.failure != nil {
			failed = append(failed, t)
			if t.failure.Code != code {
				code = wire.PartialFailure
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	first := fmt.Sprintf("%s: %s", failed[0].name, failed[0].failure.Message)
	tables := "tables"
	if len(failed) == 1 {
		if code == wire.VerificationFailed {
			return wire.Fail(code, "%s", first).At(wire.Path(failed[0].name))
		}
		tables = "table"
	}
	return wire.Fail(code, "%d %s failed; the first: %s", len(failed), tables, first)
}
