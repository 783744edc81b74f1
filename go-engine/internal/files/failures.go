// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// entryError is the failure of one entry; the work goes on.
type entryError struct {
	code    string
	message string
	cause   error
	needed  int64 // bytes of a file that has no room
}

func (e *entryError) Error() string { return e.message }

func (e *entryError) Unwrap() error { return e.cause }

// vanished is the code of the event of such an entry, which is a failure only if the job says so.
const vanished = "vanished"

// dangling is the code of the event of a symbolic link that was to be followed and leads nowhere, likewise.
const dangling = "symlink_dangling"

// loop is the code of the event of one that leads back to a directory that it is in, likewise.
const loop = "symlink_loop"

// mountPoint is the code of the failure to delete what is mounted in the destination.
const mountPoint = "mount_point"

var (
	// errVanished tells that the source's entry is no longer there.
	errVanished = errors.New("the entry vanished before it was read")
	// errLoop tells that the source has no end there: what the link leads to is being copied already.
	errLoop = errors.New("the symbolic link leads to a directory that it is in")
	// errStopped tells that the job is at its end, and that the entry is not to blame.
	errStopped = errors.New("the job was stopped")
	// errNotPermitted tells that this user cannot make such an entry, as root cannot in some containers.
	errNotPermitted = errors.New("the entry needs rights that this user lacks")
	errBlocked      = &entryError{code: wire.IOError, message: "a directory is in the way; delete: true would replace it"}
	errKept         = &entryError{code: wire.IOError, message: "a directory is in the way, and what is in it must not be deleted"}
	errMountPoint   = &entryError{code: mountPoint, message: "the directory is a mount point, and nothing in it is deleted; unmount it, or protect it by a filter"}
)

// leftOut gives the code of an error of what cannot be copied because it is not there, or has no end; empty for others.
func leftOut(err error) string {
	switch err {
	case errVanished:
		return vanished
	case fsys.ErrDangling:
		return dangling
	case errLoop:
		return loop
	}
	return ""
}

// unable says what an error of the system stood in the way of.
func unable(action string, err error) error {
	var known *entryError
	if err == nil || err == errStopped || leftOut(err) != "" || errors.As(err, &known) {
		return err
	}
	return &entryError{code: wire.IOError, message: "unable to " + action + ": " + fsys.Reason(err), cause: err}
}

// unableToRead is unable for calls on the source, whose entries may vanish.
func unableToRead(action string, err error) error {
	if fsys.IsNotExist(err) {
		return errVanished
	}
	if errors.Is(err, fsys.ErrDangling) {
		return fsys.ErrDangling
	}
	if errors.Is(err, origin.ErrReplaced) {
		return replaced("source")
	}
	return unable(action, err)
}

func replaced(side string) error {
	return &entryError{code: wire.SourceChanged, message: "the " + side + " was replaced by something else during the run"}
}
