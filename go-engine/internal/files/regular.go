// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// createRegular copies a file to where nothing is. It saves the lstat of the general way: the listing told the type,
// and opening for reading without blocking does no harm to what may have taken its place.
func (w *worker) createRegular(d *directory, entry *item) error {
	var source fsys.Stat
	file, openError := d.source.OpenFile(entry.name)
	if openError == nil {
		defer file.Close()
		if err := file.Stat(&source); err != nil {
			return unable("read the source", err)
		}
	} else if err := d.source.Lstat(entry.name, &source); err != nil {
		return unableToRead("read the source", err)
	}
	if !source.IsRegular() {
		return replaced("source")
	}
	w.counters.count(&source)
	at := &place{directory: d, name: entry.name}
	if w.job.links(&source) {
		w.job.deferLink(at, &source)
		return nil
	}
	if openError != nil {
		return unableToRead("read the source", openError)
	}
	_, err := w.syncFile(at, file, &source)
	return err
}

// syncFile makes a regular file equal. file is the source if it is open. It gives what make does.
func (w *worker) syncFile(at *place, file origin.File, source *fsys.Stat) (fsys.Identity, error) {
	w.job.Meter.Begin()
	defer w.job.Meter.End()
	if at.isFile() && !w.job.isAnothers(at) {
		same, err := w.hasContent(at, source)
		if err != nil {
			return fsys.Identity{}, err
		}
		if same {
			found, err := w.differences(at, source)
			if err != nil {
				return fsys.Identity{}, err
			}
			there := at.stat.Identity()
			if found.empty() {
				w.counters.FilesUnchanged++
				w.job.Meter.BytesPassed.Add(source.Size())
				return there, nil
			}
			if w.job.isOwn(at) {
				w.job.Meter.BytesPassed.Add(source.Size())
				return there, w.updateMetadata(at, source, &found)
			}
		}
	}
	return fsys.Identity{}, w.copyFile(at, file, source)
}

// isNewer tells whether the destination's file stays as it is, since it is newer than the source.
func (w *worker) isNewer(at *place, source *fsys.Stat) bool {
	return w.job.parameters.update && at.isFile() && source.Modified().Before(at.stat.Modified())
}

// keepsNewer is isNewer for the file in hand, which is done then.
func (w *worker) keepsNewer(at *place, source *fsys.Stat) bool {
	if !w.isNewer(at, source) {
		return false
	}
	w.counters.FilesNewer++
	w.job.Meter.BytesPassed.Add(source.Size())
	return true
}

// hasContent tells whether the content is up to date, by the job's way of comparing.
func (w *worker) hasContent(at *place, source *fsys.Stat) (bool, error) {
	if source.Size() != at.stat.Size() {
		return false, nil
	}
	if !w.job.parameters.checksum {
		return w.job.policy.sameTime(source, &at.stat), nil
	}
	from := noFile
	if at.directory.source.Tree() == nil {
		var err error
		if from, err = w.openSource(at, source, whole); err != nil {
			return false, err
		}
		defer from.Close()
	}
	to, err := openSame(at.directory.destination, at.name, &at.stat, "destination")
	if err != nil {
		return false, unable("read the destination", err)
	}
	defer to.Close()
	switch {
	case from == noFile:
		return w.sameAsFar(at, to, source, w.job.parameters.cache.MaxSize > 0)
	case w.job.cache != nil:
		return w.sameChecksum(from.Local(), to, source.Size())
	}
	return w.sameContent(at, from, to, source)
}

// sameContent compares two open files. Of one on another host the checksum is compared, and it need not be open.
func (w *worker) sameContent(at *place, from origin.File, to fsys.File, source *fsys.Stat) (bool, error) {
	if at.directory.source.Tree() != nil {
		return w.sameAsFar(at, to, source, false)
	}
	w.needBuffers()
	step := func(int64) error { return w.job.check() }
	same, err := fsys.SameContent(from.Local(), to, source.Size(), w.buffer, w.second, step)
	return same, unable("compare the contents", err)
}

func (w *worker) needBuffers() {
	if w.second == nil {
		w.second = make([]byte, w.job.parameters.bufferSize)
	}
	w.needBuffer()
}

func (w *worker) needBuffer() {
	if w.buffer == nil {
		w.buffer = make([]byte, w.job.parameters.bufferSize)
	}
}

// openSource opens the regular file that source describes, and takes over what it is by now. Of one on another host
// the range says what of its content comes.
func (w *worker) openSource(at *place, source *fsys.Stat, content contentRange) (origin.File, error) {
	if at.directory.source.Tree() != nil {
		return w.openFar(at, source, content)
	}
	file, err := at.directory.source.OpenFile(at.name)
	if err == nil {
		err = takeOver(file.Stat, source, "source")
	}
	if err != nil {
		file.Close()
		return noFile, unableToRead("read the source", err)
	}
	return file, nil
}

// openSame opens the regular file of the destination that expected describes, and takes over what it is by now.
func openSame(parent fsys.Directory, name string, expected *fsys.Stat, side string) (fsys.File, error) {
	file, err := parent.OpenFile(name)
	if err == nil {
		err = takeOver(file.Stat, expected, side)
	}
	if err != nil {
		file.Close()
		return fsys.File{}, err
	}
	return file, nil
}

func takeOver(stat func(*fsys.Stat) error, expected *fsys.Stat, side string) error {
	var opened fsys.Stat
	if err := stat(&opened); err != nil {
		return err
	}
	if !opened.IsSame(expected) {
		return replaced(side)
	}
	*expected = opened
	return nil
}

// copyFile copies a file by way of a temporary one, so that its name never stands for half a content.
func (w *worker) copyFile(at *place, file origin.File, source *fsys.Stat) error {
	job := w.job
	if job.DryRun {
		job.Meter.BytesPassed.Add(source.Size())
	} else {
		job.Meter.BytesTotal.Add(source.Size())
	}
	if source.Size() >= kernelCopyFrom {
		job.Meter.SetCurrent(display(at.directory.join(at.name)))
	}
	if !file.IsOpen() && (!job.DryRun || !job.policy.root || at.directory.source.Tree() != nil) {
		// A dry run opens it too: a user may not be allowed to read it.
		var err error
		if file, err = w.openSource(at, source, w.rangeOf(source, at.isFile())); err != nil {
			return err
		}
		defer file.Close()
	}
	resumed := int64(0)
	if job.DryRun {
		job.policy.noteOwner(source)
		if w.isResumable(source) {
			resumed = w.resumedBytes(at, source)
		}
		w.noteContent(at, source, resumed)
	} else {
		if err := w.copyOpened(at, file, source); err != nil {
			return withNeed(unable("write the destination", err), source.Size())
		}
		if at.partial != nil {
			resumed = at.partial.resumed
		}
	}
	w.counters.FilesCopied++
	w.counters.BytesCopied += source.Size() - resumed - at.reused
	w.counters.BytesReused += at.reused
	if resumed > 0 {
		w.counters.FilesResumed++
		w.counters.BytesResumed += resumed
	}
	job.Meter.FilesCopied.Add(1)
	w.reportMade(at, source, "")
	job.fileCopied()
	return nil
}

func (w *worker) copyOpened(at *place, from origin.File, source *fsys.Stat) error {
	to, temporary, made, err := w.createTarget(at, source)
	if err != nil {
		return err
	}
	failpoint.Hit("file_sync.temporary_created")
	err = w.fill(at, to, from, source)
	if err == nil {
		failpoint.Hit("file_sync.data_written")
		if w.job.parameters.verify {
			err = w.verify(at, to, from, source)
		}
	}
	if err == nil {
		err = w.settle(at, source, made, to.Handle(), from)
	}
	if err == nil && at.torn {
		err = w.job.policy.backdate(to.Handle(), source, &w.now)
	}
	if err == nil {
		err = w.job.flusher.file(to)
	}
	if finished := to.Finish(); err == nil {
		err = unable("finish the file", finished)
	}
	if err == nil {
		err = w.put(at, temporary)
	}
	if err != nil {
		if at.partial != nil {
			at.partial.leave(w.job.isResumed(err))
		} else {
			at.discard(temporary)
		}
		return err
	}
	at.partial.finish()
	failpoint.Hit("file_sync.renamed")
	return nil
}

// createTarget makes the file to copy to under another name than its own, or opens what an earlier run left of it. made
// tells what creation gave.
func (w *worker) createTarget(at *place, source *fsys.Stat) (to fsys.File, name string, made *fsys.Stat, err error) {
	if !w.isResumable(source) {
		return w.createTemporary(at, source)
	}
	at.directory.written.Store(true)
	at.partial, err = w.openPartial(at, source)
	if err != nil {
		at.partial = nil
		return fsys.File{}, "", nil, err
	}
	if at.partial == nil {
		return w.createTemporary(at, source)
	}
	to, made = at.partial.file, &w.made
	if err := to.Stat(made); err != nil {
		to.Close()
		at.partial.leave(false)
		return fsys.File{}, "", nil, err
	}
	w.job.Meter.BytesPassed.Add(at.partial.resumed)
	w.job.Meter.BytesTotal.Add(-at.partial.resumed)
	return to, at.partial.name(), made, nil
}

// createTemporary makes the file with its final mode where that needs no other step, which saves a system call for
// each file, and otherwise closed to others. made tells what creation gave.
func (w *worker) createTemporary(at *place, source *fsys.Stat) (to fsys.File, temporary string, made *fsys.Stat, err error) {
	d := at.directory
	temporary = w.temporaryName()
	given := d.creation.Load()
	mode := uint32(0o600)
	if given != nil {
		if user, group := w.job.policy.newOwner(source, given.User(), given.Group()); user < 0 && group < 0 {
			mode = w.directMode(at, given, w.job.policy.mode(source, at.existing()))
		}
	}
	d.written.Store(true)
	if to, err = d.destination.CreateFile(temporary, mode, w.job.parameters.verify); err != nil {
		return fsys.File{}, "", nil, err
	}
	if given == nil {
		given = &fsys.Stat{}
		if err := to.Stat(given); err != nil {
			to.Close()
			at.discard(temporary)
			return fsys.File{}, "", nil, err
		}
		d.creation.Store(given)
		return to, temporary, given, nil
	}
	made = &w.made
	*made = *given
	if mode != 0o600 {
		made.SetPermissions(mode)
	}
	return to, temporary, made, nil
}

// directMode gives the mode to create a file with: the wanted one, unless the file system or an inherited access
// control list gives others than asked for, or its own list may allow less, and its directory may be open already.
func (w *worker) directMode(at *place, given *fsys.Stat, wanted uint32) uint32 {
	listed := at.listed || w.job.policy.xattrs && !w.job.policy.permissions
	if listed || at.directory.inheritsACL || given.Permissions() != 0o600 || wanted&^0o777 != 0 {
		return 0o600
	}
	return wanted
}

// fill copies the content; once more if the source changed meanwhile.
func (w *worker) fill(at *place, to fsys.File, from origin.File, source *fsys.Stat) error {
	now := &w.now
	if err := w.copyData(at, to, from, source, now); err != nil {
		return err
	}
	if unchanged(source, now) {
		return nil
	}
	w.job.Meter.RetryCount.Add(1)
	*source = *now
	if err := at.partial.restart(source); err != nil {
		return err
	}
	if err := to.Truncate(0); err != nil {
		return err
	}
	if from.IsFar() {
		again, err := w.openSource(at, source, w.rangeOf(source, at.isFile()))
		if err != nil {
			return err
		}
		defer again.Close()
		from = again
	}
	if err := w.copyData(at, to, from, source, now); err != nil {
		return err
	}
	if !unchanged(source, now) {
		at.torn = true
		w.job.Warning("source_changed", "the file changed twice while it was copied", display(at.directory.join(at.name)))
	}
	return nil
}

func unchanged(before, now *fsys.Stat) bool {
	return before.Size() == now.Size() && before.Modified() == now.Modified()
}

func (w *worker) verify(at *place, to fsys.File, from origin.File, source *fsys.Stat) error {
	same, err := w.sameContent(at, from, to, source)
	if err != nil {
		return err
	}
	if !same {
		return &entryError{code: wire.VerificationFailed, message: "the copy differs from its source"}
	}
	w.counters.FilesVerified++
	return nil
}
