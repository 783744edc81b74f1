// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/wire"
)

// entryError is the failure of one entry; the work goes on.
type entryError struct {
	code    string
	message string
	cause   error
}

func (e *entryError) Error() string { return e.message }

func (e *entryError) Unwrap() error { return e.cause }

var (
	// errVanished tells that the source's entry is no longer there, which is no failure.
	errVanished = errors.New("the entry vanished before it was read")
	// errStopped tells that the job is at its end, and that the entry is not to blame.
	errStopped = errors.New("the job was stopped")
	errBlocked = &entryError{code: wire.IOError, message: "a directory is in the way; delete: true would replace it"}
)

// unable says what an error of the system stood in the way of.
func unable(action string, err error) error {
	var known *entryError
	if err == nil || err == errStopped || err == errVanished || errors.As(err, &known) {
		return err
	}
	return &entryError{code: wire.IOError, message: "unable to " + action + ": " + reason(err), cause: err}
}

// unableToRead is unable for calls on the source, whose entries may vanish.
func unableToRead(action string, err error) error {
	if err == unix.ENOENT {
		return errVanished
	}
	return unable(action, err)
}

func replaced(side string) error {
	return &entryError{code: wire.SourceChanged, message: "the " + side + " was replaced by something else during the run"}
}

// reason words an error of the system as the C library does, which differs by its capital.
func reason(err error) string {
	text := err.Error()
	var errno unix.Errno
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// isFull tells whether there is no room left, so that no further entry can succeed.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
