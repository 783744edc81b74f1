// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// destinationExists is the code for a destination that holds what this collection did not write.
const destinationExists = "destination_exists"

// Operations gives the operations on databases that this platform can do.
func Operations() []operations.Operation {
	return []operations.Operation{{
		Name:         "database_migrate",
		Prepare:      prepare,
		Capabilities: map[string]any{"sqlite": true},
		CountsRows:   true,
	}}
}

func prepare(object *wire.Object) (operations.Work, error) {
	p, err := readParameters(object)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		j := &job{Session: session, parameters: p, ctx: ctx, current: p.destination}
		for index := range p.tables {
			if !p.tables[index].internal() {
				j.count.Tables++
			}
		}
		err := j.migrate()
		j.count.Changes = session.Changes()
		if err != nil {
			err = asFailure(err, j.current)
		}
		return &j.count, err
	}, nil
}

type statistics struct {
	Tables               int64 `json:"tables"`
	RowsTotal            int64 `json:"rows_total"`
	RowsCopied           int64 `json:"rows_copied"`
	RowsInserted         int64 `json:"rows_inserted"`
	RowsUpdated          int64 `json:"rows_updated"`
	RowsDeleted          int64 `json:"rows_deleted"`
	TablesCreated        int64 `json:"tables_created"`
	IndexesCreated       int64 `json:"indexes_created"`
	TriggersCreated      int64 `json:"triggers_created"`
	ViewsCreated         int64 `json:"views_created"`
	Chunks               int64 `json:"chunks"`
	ResumedRows          int64 `json:"resumed_rows"`
	RowsVerified         int64 `json:"rows_verified"`
	ForeignKeyViolations int64 `json:"foreign_key_violations"`
	Changes              int64 `json:"changes"`
}

// job is one migration at work.
type job struct {
	*operations.Session
	*parameters
	ctx     context.Context
	count   statistics
	current string
}

func (j *job) migrate() error {
	build := j.build
	if !build {
		var err error
		if build, err = j.update(); err != nil {
			return err
		}
	}
	if build {
		rows, err := j.predictOrBuild()
		if err != nil {
			return err
		}
		j.reportBuild(rows)
	}
	return j.forgetRecord()
}

// step names what the job does now; current may be empty.
func (j *job) step(phase, current string) {
	j.Meter.SetPhase(phase)
	j.Meter.SetCurrent(wire.Path(current))
	if j.current = current; current == "" {
		j.current = j.destination
	}
}

func (j *job) copied(d differences) {
	j.count.RowsInserted += d.inserted
	j.count.RowsUpdated += d.updated
	j.count.RowsDeleted += d.deleted
	j.count.RowsCopied += d.inserted + d.updated
	j.Meter.RowsCopied.Store(j.count.RowsCopied)
}

func (j *job) createdObject(o *object) {
	switch o.kind {
	case "index":
		j.count.IndexesCreated++
	case "trigger":
		j.count.TriggersCreated++
	case "view":
		j.count.ViewsCreated++
	}
	j.Change("create", o.kind, wire.Path(o.name), nil, nil)
}

func (j *job) createdTable(t *table, rows int64, action string) {
	if !t.internal() {
		j.count.TablesCreated++
	}
	var after wire.Attributes
	if t.count != "" {
		after.Integer("rows", rows)
	}
	j.Change(action, "table", wire.Path(t.name), nil, &after)
}

// countSource counts the rows of all tables of the source, by the table's place in the list.
func (j *job) countSource(c *connection) ([]int64, error) {
	rows := make([]int64, len(j.tables))
	for index := range j.tables {
		t := &j.tables[index]
		if t.count == "" {
			continue
		}
		j.step("load", t.name)
		if err := c.scan(t.count, &rows[index]); err != nil {
			return nil, err
		}
		j.count.RowsTotal += rows[index]
	}
	j.Meter.ItemsTotal.Store(j.count.RowsTotal)
	j.Meter.SetTotals(j.count.RowsTotal, 0)
	return rows, nil
}

// writeRecord says beside the destination which tables this collection wrote; it comes before the change, lest a
// crash forget it. about is the file that is, or will be, the destination.
func (j *job) writeRecord(about string) error {
	if j.record == nil {
		return nil
	}
	status, err := os.Stat(about)
	if err != nil {
		return err
	}
	if system, ok := status.Sys().(*syscall.Stat_t); ok {
		j.record["device"], j.record["inode"] = system.Dev, system.Ino
	}
	j.record["finished_at"] = time.Now().UTC().Format(time.RFC3339)
	encoded, err := json.Marshal(j.record)
	if err != nil {
		return err
	}
	if err := writeFile(j.recordPath, encoded); err != nil {
		return fmt.Errorf("unable to write the record: %w", err)
	}
	failpoint.Hit("database.record_written")
	return nil
}

func writeFile(path string, content []byte) error {
	file, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// forgetRecord removes the record where the task wants none.
func (j *job) forgetRecord() error {
	if j.record != nil {
		return nil
	}
	if _, err := os.Lstat(j.recordPath); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !j.DryRun {
		if err := os.Remove(j.recordPath); err != nil {
			return err
		}
	}
	j.Change("delete", "file", wire.Path(filepath.Base(j.recordPath)), nil, nil)
	return nil
}

func (t *table) internal() bool { return strings.HasPrefix(strings.ToLower(t.name), "sqlite_") }
