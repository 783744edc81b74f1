// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/wire"
)

const (
	ledgerTable = "_migration_assistant"
	// settled is how long ago a file must have been written for its time stamp to tell the next change.
	settled = 2 * time.Second
)

var sideFiles = []string{"-journal", "-wal", "-shm"}

// partial is the file in which a new database is built until it is complete. Its lock vanishes with the process.
type partial struct {
	path string
	// file stays open until the end: closing any descriptor of a file drops this process's POSIX locks on it.
	file *os.File
}

func openPartial(j *job) (*partial, error) {
	if err := os.MkdirAll(filepath.Dir(j.partial), 0o755); err != nil {
		return nil, wire.Fail(wire.DestinationUnwritable, "unable to create %s: %w", filepath.Dir(j.partial), cause(err))
	}
	file, err := os.OpenFile(j.partial, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, wire.Fail(wire.DestinationUnwritable, "unable to create %s: %w", j.partial, cause(err))
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		var here, named os.FileInfo
		if here, err = file.Stat(); err == nil {
			named, err = os.Lstat(j.partial)
		}
		if err == nil && !os.SameFile(here, named) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, wire.Fail(wire.DestinationBusy, "another job is building %s", j.destination)
	}
	failpoint.Hit("database.partial_created")
	return &partial{path: j.partial, file: file}, nil
}

func (p *partial) empty() (bool, error) {
	status, err := p.file.Stat()
	return err == nil && status.Size() == 0, err
}

// discard empties the file. Its journal goes first, lest it be rolled back into the new content.
func (p *partial) discard() error {
	for _, suffix := range sideFiles {
		if err := os.Remove(p.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return p.file.Truncate(0)
}

// publish gives the file its final owner, mode and name; the old destination is whole until then.
func (j *job) publish(p *partial) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	like, err := os.Stat(j.destination)
	replaced := err == nil
	if !replaced {
		if like, err = os.Stat(j.source); err != nil {
			return err
		}
	}
	if err := j.setAccess(p, like, replaced); err != nil {
		return err
	}
	if err := j.writeRecord(p.path); err != nil {
		return err
	}
	if replaced {
		err = j.replaceDestination(p)
	} else {
		err = j.renameToFreeName(p)
	}
	if err != nil {
		return err
	}
	failpoint.Hit("database.renamed")
	directory, err := os.Open(filepath.Dir(j.destination))
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

func (j *job) setAccess(p *partial, like os.FileInfo, replaced bool) error {
	status, err := p.file.Stat()
	if err != nil {
		return err
	}
	here, there := status.Sys().(*syscall.Stat_t), like.Sys().(*syscall.Stat_t)
	// A database that root moves stays that of the application.
	wanted := replaced || os.Geteuid() == 0
	if wanted && (here.Uid != there.Uid || here.Gid != there.Gid) &&
		p.file.Chown(int(there.Uid), int(there.Gid)) != nil {
		j.Warning("owner_not_preserved", fmt.Sprintf("the owner %d:%d cannot be given", there.Uid, there.Gid), "")
	}
	return p.file.Chmod(like.Mode())
}

func (j *job) renameToFreeName(p *partial) error {
	for _, suffix := range sideFiles {
		if _, err := os.Lstat(j.destination + suffix); err == nil {
			return wire.Fail(wire.DatabaseError, "%s%s is left over from another database", j.destination, suffix)
		}
	}
	return os.Rename(p.path, j.destination)
}

// replaceDestination renames over a database that nobody uses, after its own -wal is worked in: it would spoil the
// new one.
func (j *job) replaceDestination(p *partial) error {
	old, err := connect(j.ctx, uri(j.destination, "rw"))
	if err != nil {
		return err
	}
	defer old.close()
	var mode string
	err = old.scan("PRAGMA journal_mode = DELETE", &mode)
	if err == nil && mode == "delete" {
		_, err = old.exec("BEGIN EXCLUSIVE")
	}
	// A database in use keeps its mode, with or without an error.
	if isLocked(err) || err == nil && mode != "delete" {
		return wire.Fail(wire.DestinationBusy, "%s is in use and cannot be replaced", j.destination)
	}
	if err != nil {
		return err
	}
	defer old.rollback()
	return os.Rename(p.path, j.destination)
}

// ledger tells how far the partial file is, in a table of its own.
type ledger struct {
	c       *connection
	entries map[string]string
}

// load finds nothing if the file is none of ours, or damaged.
func (l *ledger) load() {
	l.entries = map[string]string{}
	rows, err := l.c.conn.QueryContext(l.c.ctx, "SELECT key, value FROM main."+ledgerTable)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var key, value string
		if rows.Scan(&key, &value) == nil {
			l.entries[key] = value
		}
	}
	if rows.Err() != nil {
		l.entries = map[string]string{}
	}
}

func (l *ledger) create() error {
	_, err := l.c.exec("CREATE TABLE " + ledgerTable + " (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
	return err
}

func (l *ledger) write(key string, value any) error {
	if _, err := l.c.exec("INSERT OR REPLACE INTO main."+ledgerTable+" VALUES (?, ?)", key, value); err != nil {
		return err
	}
	l.entries[key] = fmt.Sprint(value)
	return nil
}

func (l *ledger) number(kind string, index int) (value int64, found bool) {
	text, found := l.entries[ledgerKey(kind, index)]
	value, _ = strconv.ParseInt(text, 10, 64)
	return value, found
}

func ledgerKey(kind string, index int) string { return kind + ":" + strconv.Itoa(index) }

// drop removes the table; the page stays in the file as a free one, but nothing of ours in it.
func (l *ledger) drop() error {
	if err := l.c.query("PRAGMA main.secure_delete = ON"); err != nil {
		return err
	}
	_, err := l.c.exec("DROP TABLE main." + ledgerTable)
	failpoint.Hit("database.ledger_dropped")
	return err
}

// fingerprint tells two states of the source apart. Of one that has only just been written it never says that it is
// equal.
func fingerprint(path string) string {
	var parts []string
	for _, name := range []string{path, path + "-wal"} {
		status, err := os.Stat(name)
		if err != nil || status.Size() == 0 {
			continue
		}
		system := status.Sys().(*syscall.Stat_t)
		written := status.ModTime()
		parts = append(parts, fmt.Sprintf("%d:%d:%d:%d", system.Dev, system.Ino, status.Size(), written.UnixNano()))
		if now := time.Now(); now.Sub(written) < settled {
			parts = append(parts, fmt.Sprintf("unsettled:%d:%d", os.Getpid(), now.UnixNano()))
		}
	}
	return strings.Join(parts, " ")
}

// cause strips the path that the system's errors repeat.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
