// SPDX-License-Identifier: GPL-3.0-or-later

package postgres

import (
	"context"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// connection is one session. The library sees to it that a statement whose context ends is cancelled on the server.
type connection struct {
	session *pgconn.PgConn
	lost    bool
}

func (c *connection) Exec(ctx context.Context, sql string) (int64, error) {
	return c.run(ctx, sql, nil)
}

func (c *connection) Query(ctx context.Context, sql string, each func(row [][]byte) error) error {
	_, err := c.run(ctx, sql, each)
	return err
}

// run gives the rows that the statement affected; each may be nil.
func (c *connection) run(ctx context.Context, sql string, each func(row [][]byte) error) (int64, error) {
	results := c.session.Exec(ctx, sql)
	var affected int64
	for results.NextResult() {
		rows := results.ResultReader()
		for each != nil && rows.NextRow() {
			if err := each(rows.Values()); err != nil {
				c.Close()
				return 0, err
			}
		}
		// What is wrong is told by the end of all results.
		tag, _ := rows.Close()
		affected = tag.RowsAffected()
	}
	return affected, c.failure(ctx, results.Close())
}

func (c *connection) Read(ctx context.Context, sql string, to io.Writer) (int64, error) {
	watched := &watchedWriter{to: to}
	tag, err := c.session.CopyTo(ctx, watched, sql)
	if watched.err != nil {
		return 0, watched.err
	}
	return tag.RowsAffected(), c.failure(ctx, err)
}

func (c *connection) Load(ctx context.Context, sql string, from io.Reader) (int64, error) {
	tag, err := c.session.CopyFrom(ctx, from, sql)
	return tag.RowsAffected(), c.failure(ctx, err)
}

// Close waits, for a while, until the server has been told; one that is gone will not hear it.
func (c *connection) Close() {
	if c.lost {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelWait)
	defer cancel()
	_ = c.session.Close(ctx)
	select {
	case <-c.session.CleanupDone():
	case <-time.After(cancelWait):
	}
}

// watchedWriter keeps the error of a writer, to tell it from those of the connection.
type watchedWriter struct {
	to  io.Writer
	err error
}

func (w *watchedWriter) Write(data []byte) (int, error) {
	n, err := w.to.Write(data)
	if err != nil {
		w.err = err
	}
	return n, err
}
