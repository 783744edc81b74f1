// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// withNeed adds to an error what the entry needs that may have no room.
func withNeed(err error, size int64) error {
	if !fsys.IsNoRoom(err) {
		return err
	}
	return &entryError{code: wire.DiskFull, message: err.Error(), cause: err, needed: size}
}

// noRoom tells that an entry has no room, how much it needs if that is known, and how much there is.
func (j *syncJob) noRoom(entry string, err error) *wire.Failure {
	opened := j.nearestOpened(path.Dir(entry))
	defer opened.Close()
	return noRoomIn(opened, display(entry), err)
}

// nearestOpened opens a directory of the destination, or the nearest above it that is there.
func (j *syncJob) nearestOpened(directory string) fsys.Directory {
	current, err := j.roots.destination.Duplicate()
	if err != nil {
		return fsys.Directory{}
	}
	for name := range strings.SplitSeq(path.Clean(directory), "/") {
		next, err := current.OpenDirectory(name)
		if err != nil {
			break
		}
		current.Close()
		current = next
	}
	return current
}

// noRoomIn is noRoom for an entry of an open directory, which may be none.
func noRoomIn(directory fsys.Directory, entry wire.Path, err error) *wire.Failure {
	message := "the destination has no room left"
	if entry != "" {
		message += " for " + string(entry)
	}
	details := []string{}
	var known *entryError
	if errors.As(err, &known) && known.needed > 0 {
		details = append(details, fmt.Sprintf("it has %d bytes", known.needed))
	}
	if fsys.IsOverQuota(err) {
		details = append(details, "this user's quota is used up")
	} else if directory.IsOpen() {
		if room, failed := directory.Room(); failed == nil {
			details = append(details, fmt.Sprintf("%d bytes are free", room.Bytes))
			if room.NoEntries {
				details = append(details, "no further entry can be made")
			}
		}
	}
	if len(details) > 0 {
		message += ": " + strings.Join(details, ", ")
	}
	return wire.Fail(wire.DiskFull, "%s", message).At(entry)
}
