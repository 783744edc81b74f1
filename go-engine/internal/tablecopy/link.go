// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"migration.assistant/engine/internal/server"
	"migration.assistant/engine/internal/wire"
)

// longestPause is the most that is waited before a further try.
const longestPause = 30 * time.Second

// problem is what kept a piece of work from being done, and whether another try may do it.
type problem struct {
	*wire.Failure
	again     bool
	fatal     bool // concerns all tables, and not only the one in hand
	conflict  bool // a row is in the way that must be unique
	uncertain bool // the connection was lost when the commit was on its way
	lost      *side
}

func (p *problem) Unwrap() error { return p.Failure }

// side is the source or the destination, with all that its connections have in common.
type side struct {
	name      string
	driver    server.Driver
	server    *server.Server
	begin     []string
	renewable bool
	reached   atomic.Bool // a connection was made once
	warned    atomic.Bool
}

// link is one connection of a worker to a side, made when it is needed and made anew after it was lost.
type link struct {
	*side
	connection server.Connection
	begun      bool // it was there once
}

func (l *link) get(ctx context.Context) (server.Connection, error) {
	if l.connection != nil {
		return l.connection, nil
	}
	if l.begun && !l.renewable {
		return nil, l.problem(&server.Error{Trouble: server.Lost, Message: "it cannot be made anew"}, false)
	}
	connection, err := l.driver.Connect(ctx, l.server)
	if err != nil {
		return nil, l.problem(err, true)
	}
	for _, statement := range l.begin {
		if _, err := connection.Exec(ctx, statement); err != nil {
			connection.Close()
			return nil, l.beginProblem(err)
		}
	}
	l.connection, l.begun = connection, true
	l.reached.Store(true)
	return connection, nil
}

// beginProblem says why reading cannot begin. Where it could before, it is the snapshot that is there no more.
func (l *link) beginProblem(err error) error {
	err = l.problem(err, true)
	var p *problem
	if errors.As(err, &p) && !p.again && l.reached.Load() {
		p.Code = wire.SnapshotLost
	}
	return err
}

func (l *link) drop() {
	if l.connection != nil {
		l.connection.Close()
		l.connection = nil
	}
}

// problem says what an error of this side means for the job.
func (l *link) problem(err error, connecting bool) error {
	var known *server.Error
	if !errors.As(err, &known) {
		return err
	}
	p := &problem{conflict: known.Trouble == server.Conflict}
	code, text := wire.DatabaseError, fmt.Sprintf("%s: %s", l.name, known.Message)
	if connecting {
		p.fatal = true
		text = fmt.Sprintf("unable to connect to the %s %s: %s", l.name, l.server.Address(), known.Message)
	}
	switch known.Trouble {
	case server.Lost:
		code, p.again, p.fatal, p.lost = wire.Unreachable, true, true, l.side
		if !connecting {
			text = fmt.Sprintf("the connection to the %s %s was lost: %s", l.name, l.server.Address(), known.Message)
		}
		if l.begun && !l.renewable {
			code, p.again = wire.SnapshotLost, false
			text += "; the snapshot that was read is lost with it"
		}
	case server.Contention:
		p.again = true
	case server.Denied:
		code = wire.AccessDenied
	case server.Full:
		code, p.fatal = wire.DiskFull, true
	}
	p.Failure = &wire.Failure{Code: code, Message: text, Cause: err}
	return p
}

// failed clears up after a statement. A source whose transaction an error may have ended is read by a new connection, if
// there can be one.
func (l *link) failed(err error) error {
	if err == nil {
		return nil
	}
	var known *server.Error
	if !errors.As(err, &known) || known.Trouble == server.Lost || len(l.begin) > 0 && l.renewable {
		l.drop()
	}
	return l.problem(err, false)
}

func (l *link) exec(ctx context.Context, sql string) (int64, error) {
	connection, err := l.get(ctx)
	if err != nil {
		return 0, err
	}
	rows, err := connection.Exec(ctx, sql)
	return rows, l.failed(err)
}

func (l *link) run(ctx context.Context, statements []string) error {
	for _, statement := range statements {
		if _, err := l.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) query(ctx context.Context, sql string, each func(row [][]byte) error) error {
	connection, err := l.get(ctx)
	if err != nil {
		return err
	}
	return l.failed(connection.Query(ctx, sql, each))
}

// first gives a copy of the first row, nil if there is none.
func (l *link) first(ctx context.Context, sql string, columns int) ([]bound, error) {
	var found []bound
	err := l.query(ctx, sql, func(row [][]byte) error {
		if len(row) < columns {
			return wire.Fail(wire.DatabaseError, "%s: %d columns came instead of %d", l.name, len(row), columns)
		}
		if found == nil {
			found = copied(row)
		}
		return nil
	})
	return found, err
}

func copied(row [][]byte) []bound {
	values := make([]bound, len(row))
	for index, value := range row {
		if value != nil {
			text := string(value)
			values[index] = &text
		}
	}
	return values
}

// transaction commits what work did, or takes it back.
func (l *link) transaction(ctx context.Context, work func() error) error {
	if _, err := l.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := work(); err != nil {
		l.rollback(ctx)
		return err
	}
	_, err := l.exec(ctx, "COMMIT")
	var p *problem
	if errors.As(err, &p) && p.lost != nil {
		p.uncertain = true
	}
	return err
}

func (l *link) rollback(ctx context.Context) {
	if l.connection == nil {
		return
	}
	if ctx.Err() != nil {
		l.drop()
		return
	}
	if _, err := l.connection.Exec(ctx, "ROLLBACK"); err != nil {
		l.drop()
	}
}

// pair is a worker's two links.
type pair struct{ source, destination *link }

func (p *pair) close() {
	p.source.drop()
	p.destination.drop()
}

// copyRows relays rows from one side to the other, and tells how many rows and bytes came over.
func (j *job) copyRows(ctx context.Context, p *pair, read, load string) (rows, bytes int64, err error) {
	from, err := p.source.get(ctx)
	if err != nil {
		return 0, 0, err
	}
	to, err := p.destination.get(ctx)
	if err != nil {
		return 0, 0, err
	}
	between := newRelay(!p.source.renewable, func(more int64) {
		bytes += more
		j.relayed(more)
	})
	var loaded int64
	var loadError error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		loaded, loadError = to.Load(ctx, load, between)
		between.breakOff()
	}()
	rows, readError := from.Read(ctx, read, between)
	between.end(readError)
	<-ended
	if errors.Is(readError, errRelayBroken) {
		p.source.drop()
		readError = nil
	}
	// Of two errors that of the source is the cause: the destination was told to give up.
	if readError != nil {
		_ = p.destination.failed(loadError)
		return 0, 0, p.source.failed(readError)
	}
	if loadError != nil {
		return 0, 0, p.destination.failed(loadError)
	}
	if loaded != rows {
		return 0, 0, wire.Fail(wire.DatabaseError, "%d rows were read and %d were written", rows, loaded)
	}
	return rows, bytes, nil
}

// persist does work again as long as what kept it from being done may pass.
func (j *job) persist(ctx context.Context, work func(try int) error) error {
	for try := 0; ; try++ {
		err := work(try)
		var p *problem
		if !errors.As(err, &p) || !p.again || try >= j.retries || ctx.Err() != nil {
			return err
		}
		pause := min(time.Second<<min(try, 10), longestPause)
		j.Meter.RetryCount.Add(1)
		if p.lost != nil && !p.lost.warned.Swap(true) {
			j.Warning("connection_lost", fmt.Sprintf("%s; trying again in %v", p.Message, pause), "")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
