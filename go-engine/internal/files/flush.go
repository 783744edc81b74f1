// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// flusher brings what was written to the disk: after every so many files, and at the end. Where the system has no
// call for a whole file system, each file is flushed before it gets its name.
type flusher struct {
	every   int64 // files; 0 for never
	copied  atomic.Int64
	mutex   sync.Mutex
	systems map[uint64]fsys.Directory // of each file system of the destination one directory, by device
}

func newFlusher(parameters *syncParameters, dryRun bool) *flusher {
	if dryRun {
		return &flusher{}
	}
	return &flusher{every: parameters.syncFrequency, systems: map[uint64]fsys.Directory{}}
}

func (f *flusher) close() {
	for _, directory := range f.systems {
		directory.Close()
	}
}

// add notes the file system of a directory of the destination.
func (f *flusher) add(directory fsys.Directory, stat *fsys.Stat) error {
	if f.every == 0 || !fsys.FlushesFileSystems || !directory.IsOpen() {
		return nil
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	device := stat.Identity().Device
	if _, known := f.systems[device]; known {
		return nil
	}
	held, err := directory.Duplicate()
	if err == nil {
		f.systems[device] = held
	}
	return err
}

// file flushes a file that is about to get its name, where that is the only way.
func (f *flusher) file(to fsys.File) error {
	if f.every == 0 || fsys.FlushesFileSystems {
		return nil
	}
	return unable("flush the file to the disk", to.Flush())
}

// fileCopied counts a file, and flushes all when it is time to.
func (j *syncJob) fileCopied() {
	if every := j.flusher.every; every > 0 && j.flusher.copied.Add(1)%every == 0 {
		j.flush()
	}
}

// flush waits until all that was written so far is on the disk. Only one does it at a time, so that who has written
// the files of the next round waits too.
func (j *syncJob) flush() {
	j.flusher.mutex.Lock()
	defer j.flusher.mutex.Unlock()
	for _, directory := range j.flusher.systems {
		err := directory.FlushFileSystem()
		if fsys.IsNoRoom(err) {
			j.stopBy(noRoomIn(directory, "", err))
		} else if err != nil {
			j.stopBy(wire.Fail(wire.IOError, "unable to flush the destination to the disk: %s", fsys.Reason(err)))
		}
	}
	failpoint.Hit("file_sync.flushed")
}

// flushAtEnd flushes what the whole run did, if it did anything.
func (j *syncJob) flushAtEnd() {
	if j.flusher.every > 0 && !j.stopped.Load() && j.Changes() > 0 {
		j.flush()
	}
}
