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

// need is what a run would take of the destination's file system. Of files with holes nobody knows before.
type need struct{ bytes, entries int64 }

// noteNeed counts an entry that would be made. More is what its content takes besides that of what it replaces.
func (w *worker) noteNeed(at *place, more int64) {
	device, root := at.directory.existing.Identity().Device, w.job.roots.destinationStat.Identity().Device
	if !w.job.DryRun || at.directory.destination.IsOpen() && device != 0 && device != root {
		return // what is mounted in the destination has room of its own
	}
	w.need.bytes += more
	if !at.present {
		w.need.entries++
	}
}

// noteContent is noteNeed for the content of a file, of which some may be there.
func (w *worker) noteContent(at *place, source *fsys.Stat, there int64) {
	more := source.Size() - there
	if at.isFile() {
		more -= at.stat.Size()
	}
	if source.IsSparse() {
		more = 0
	}
	w.noteNeed(at, more)
}

// warnOfRoom tells in a dry run what the destination has no room for.
func (j *syncJob) warnOfRoom() {
	var total need
	for _, worker := range j.workers {
		total.bytes += worker.need.bytes
		total.entries += worker.need.entries
	}
	directory, err := j.roots.nearest(j.parameters.destination)
	if err != nil {
		return
	}
	defer directory.Close()
	room, err := directory.Room()
	if err != nil {
		return
	}
	if total.bytes > 0 && uint64(total.bytes) > room.Bytes {
		j.Warning("room_short", fmt.Sprintf("the run would need %d bytes more, and %d are free", total.bytes, room.Bytes), "")
	}
	if uint64(total.entries) > room.Entries {
		j.Warning("room_short", fmt.Sprintf("the run would make %d entries, and there is room for %d", total.entries, room.Entries), "")
	}
}

// nearest opens the destination, or the nearest directory above it that exists.
func (r *roots) nearest(path string) (fsys.Directory, error) {
	if r.destination.IsOpen() {
		return r.destination.Duplicate()
	}
	existing, err := nearestExisting(path)
	if err != nil {
		return fsys.Directory{}, err
	}
	return fsys.OpenRoot(existing)
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
