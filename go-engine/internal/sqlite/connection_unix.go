// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite"

	"migration.assistant/engine/internal/wire"
)

const busyTimeout = 10 * time.Second

// anchor is held un-finished: so it keeps the read transaction on the source open while chunks are committed.
const anchor = "SELECT 1 FROM src.sqlite_master CROSS JOIN (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)"

// Primary result codes of SQLite.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// connection holds both databases: main is the destination, src the source.
type connection struct {
	ctx    context.Context
	pool   *sql.DB
	conn   *sql.Conn
	anchor *sql.Rows
}

func connect(ctx context.Context, main string) (*connection, error) {
	pool, err := sql.Open("sqlite", main)
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		_ = pool.Close()
		return nil, err
	}
	c := &connection{ctx: ctx, pool: pool, conn: conn}
	for _, pragma := range []string{
		"busy_timeout = " + strconv.FormatInt(busyTimeout.Milliseconds(), 10),
		"foreign_keys = OFF", "ignore_check_constraints = ON", "temp_store = MEMORY",
	} {
		if err := c.query("PRAGMA " + pragma); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// attach attaches the source, read-only.
func (c *connection) attach(p *parameters) error {
	_, err := c.exec("ATTACH DATABASE ? AS src", uri(p.source, "ro"))
	return sourceFailure(err, p)
}

// sourceFailure says which of the two databases is locked.
func sourceFailure(err error, p *parameters) error {
	if isLocked(err) {
		return wire.Fail(wire.DestinationBusy, "the source %s is locked by a writer", p.source)
	}
	return err
}

// checkSource begins to read the source, and checks that it still has the schema that was planned for.
func (c *connection) checkSource(p *parameters) error {
	var version int64
	if err := c.scan("PRAGMA src.schema_version", &version); err != nil {
		return sourceFailure(err, p)
	}
	if version != p.sourceSchemaVersion {
		return wire.Fail(wire.SourceChanged, "the source's schema was changed after it was planned for; run again")
	}
	return nil
}

// holdSnapshot reads one state of the source until releaseSnapshot, over all commits on the destination.
func (c *connection) holdSnapshot(p *parameters) error {
	if err := c.checkSource(p); err != nil {
		return err
	}
	rows, err := c.conn.QueryContext(c.ctx, anchor)
	if err != nil {
		return err
	}
	c.anchor = rows
	rows.Next()
	return rows.Err()
}

func (c *connection) releaseSnapshot() {
	if c.anchor != nil {
		_ = c.anchor.Close()
		c.anchor = nil
	}
}

func (c *connection) close() {
	c.releaseSnapshot()
	_ = c.conn.Close()
	_ = c.pool.Close()
}

// exec runs one statement that gives no rows, and tells how many it changed.
func (c *connection) exec(statement string, values ...any) (int64, error) {
	result, err := c.conn.ExecContext(c.ctx, statement, values...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *connection) run(statements []string) error {
	for _, statement := range statements {
		if strings.HasPrefix(statement, "PRAGMA ") {
			if err := c.query(statement); err != nil {
				return err
			}
		} else if _, err := c.exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// query runs a statement whose rows do not matter.
func (c *connection) query(statement string) error {
	_, err := c.countRows(statement)
	return err
}

func (c *connection) countRows(statement string) (int64, error) {
	rows, err := c.conn.QueryContext(c.ctx, statement)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var count int64
	for rows.Next() {
		count++
	}
	return count, rows.Err()
}

// scan reads the one row that a statement gives.
func (c *connection) scan(statement string, into ...any) error {
	return c.conn.QueryRowContext(c.ctx, statement).Scan(into...)
}

// transaction commits what work did, or takes it back.
func (c *connection) transaction(kind string, work func() error) error {
	if _, err := c.exec("BEGIN " + kind); err != nil {
		return err
	}
	err := work()
	if err == nil {
		_, err = c.exec("COMMIT")
	}
	if err != nil {
		c.rollback()
	}
	return err
}

// rollback clears up after an error, which is the one to tell; so also when the job is cancelled.
func (c *connection) rollback() {
	_, _ = c.conn.ExecContext(context.WithoutCancel(c.ctx), "ROLLBACK")
}

type differences struct{ inserted, updated, deleted int64 }

func (d differences) any() bool { return d != differences{} }

func (c *connection) compare(t *table) (differences, error) {
	var found differences
	if err := c.run(t.compare); err != nil {
		return found, err
	}
	return found, c.scan(t.differences, &found.inserted, &found.updated, &found.deleted)
}

// sequences gives the AUTOINCREMENT counters of the destination and of the source.
func (c *connection) sequences(t *table) (here, there any, err error) {
	err = c.scan(t.sequenceValues, &here, &there)
	return here, there, err
}

// uri names a file to SQLite; mode: ro or rw.
func uri(path, mode string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=" + mode
}

func resultCode(err error) int {
	var failure *sqlite3.Error
	if errors.As(err, &failure) {
		return failure.Code() & 0xff
	}
	return 0
}

func isLocked(err error) bool {
	code := resultCode(err)
	return code == codeBusy || code == codeLocked
}

// asFailure turns what SQLite says into the protocol's terms; subject is the table in hand, or the destination.
func asFailure(err error, subject string) error {
	code := wire.DatabaseError
	switch resultCode(err) {
	case 0:
		return err
	case codeBusy, codeLocked:
		return wire.Fail(wire.DestinationBusy, "%s is locked by another process", subject)
	case codeReadOnly:
		code = wire.DestinationUnwritable
	case codeCorrupt, codeNotADB:
		code = wire.NotADatabase
	case codeFull:
		code = wire.DiskFull
	case codeCantOpen:
		code = wire.IOError
	}
	return wire.Fail(code, "%s: %w", subject, err)
}
