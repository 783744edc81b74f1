// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// createRegular copies a file to where nothing is. It saves the lstat of the general way: the listing told the type,
// and opening for reading without blocking does no harm to what may have taken its place.
func (w *worker) createRegular(d *directory, entry *item) error {
	var source fsys.Stat
	fd, openError := fsys.OpenFile(d.source, entry.name)
	if openError == nil {
		defer fsys.Close(fd)
		if err := fsys.Fstat(fd, &source); err != nil {
			return unable("read the source", err)
		}
	} else if err := fsys.Lstat(d.source, entry.name, &source); err != nil {
		return unableToRead("read the source", err)
	}
	if !fsys.IsRegular(&source) {
		return replaced("source")
	}
	w.counters.count(&source)
	if w.job.links(&source) {
		w.job.deferLink(d, entry.name, &source)
		return nil
	}
	if openError != nil {
		return unableToRead("read the source", openError)
	}
	_, err := w.syncFile(&place{directory: d, name: entry.name}, fd, &source)
	return err
}

// syncFile makes a regular file equal. fd is the open source, or -1. It gives what the destination's name is
// afterwards, as far as its inode goes: inode 0 where the file was or would be made anew.
func (w *worker) syncFile(at *place, fd int, source *fsys.Stat) (inode, error) {
	w.job.Meter.Begin()
	defer w.job.Meter.End()
	if at.isFile() {
		same, err := w.hasContent(at, source)
		if err != nil {
			return inode{}, err
		}
		if same {
			found, err := w.differences(at, source)
			if err != nil {
				return inode{}, err
			}
			there := inode{at.stat.Dev, at.stat.Ino}
			if found.empty() {
				w.counters.FilesUnchanged++
				return there, nil
			}
			// Else another name shares the inode and has no part in this: the file is made anew.
			if at.stat.Nlink == 1 || source.Nlink > 1 {
				return there, w.updateMetadata(at, source, &found)
			}
		}
	}
	return inode{}, w.copyFile(at, fd, source)
}

// hasContent tells whether the content is up to date, by the job's way of comparing.
func (w *worker) hasContent(at *place, source *fsys.Stat) (bool, error) {
	if source.Size != at.stat.Size {
		return false, nil
	}
	if !w.job.parameters.checksum {
		if !w.job.policy.timestamps {
			// The copy bears the time at which it was made.
			return !fsys.ModifiedBefore(&at.stat, source), nil
		}
		return fsys.SameModified(source, &at.stat), nil
	}
	from, err := w.openSource(at, source)
	if err != nil {
		return false, err
	}
	defer fsys.Close(from)
	to, err := openSame(at.directory.destination, at.name, &at.stat, "destination")
	if err != nil {
		return false, unable("read the destination", err)
	}
	defer fsys.Close(to)
	return w.sameContent(from, to, source.Size)
}

func (w *worker) sameContent(from, to int, size int64) (bool, error) {
	w.needBuffers()
	same, err := fsys.SameContent(from, to, size, w.buffer, w.second, func(int64) error { return w.job.check() })
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

func (w *worker) openSource(at *place, source *fsys.Stat) (int, error) {
	fd, err := openSame(at.directory.source, at.name, source, "source")
	return fd, unableToRead("read the source", err)
}

// openSame opens the regular file that expected describes, and takes over what it is by now.
func openSame(parent int, name string, expected *fsys.Stat, side string) (int, error) {
	fd, err := fsys.OpenFile(parent, name)
	if err != nil {
		return -1, err
	}
	var opened fsys.Stat
	err = fsys.Fstat(fd, &opened)
	if err == nil && !fsys.SameInode(&opened, expected) {
		err = replaced(side)
	}
	if err != nil {
		fsys.Close(fd)
		return -1, err
	}
	*expected = opened
	return fd, nil
}

// copyFile copies a file by way of a temporary one, so that its name never stands for half a content.
func (w *worker) copyFile(at *place, fd int, source *fsys.Stat) error {
	job := w.job
	job.Meter.BytesTotal.Add(source.Size)
	if source.Size >= kernelCopyFrom {
		job.Meter.SetCurrent(display(at.directory.join(at.name)))
	}
	if fd < 0 && (!job.DryRun || !job.policy.root) {
		// A dry run opens it too: a user may not be allowed to read it.
		var err error
		if fd, err = w.openSource(at, source); err != nil {
			return err
		}
		defer fsys.Close(fd)
	}
	if job.DryRun {
		job.policy.noteOwner(source)
	} else if err := w.copyOpened(at, fd, source); err != nil {
		return unable("write the destination", err)
	}
	w.counters.FilesCopied++
	w.counters.BytesCopied += source.Size
	job.Meter.FilesCopied.Add(1)
	w.reportMade(at, source, "")
	return nil
}

func (w *worker) copyOpened(at *place, from int, source *fsys.Stat) error {
	to, temporary, made, err := w.createTemporary(at, source)
	if err != nil {
		return err
	}
	failpoint.Hit("file_sync.temporary_created")
	err = w.fill(at, to, from, source)
	if err == nil {
		failpoint.Hit("file_sync.data_written")
		if w.job.parameters.verify {
			err = w.verify(to, from, source)
		}
	}
	if err == nil {
		err = w.settle(at, source, made, fsys.Opened(to), fsys.Opened(from))
	}
	fsys.Close(to)
	if err == nil {
		err = at.put(temporary)
	}
	if err != nil {
		at.discard(temporary)
		return err
	}
	failpoint.Hit("file_sync.renamed")
	return nil
}

// createTemporary makes the file with its final mode where that needs no other step, which saves a system call for
// each file, and otherwise closed to others. made tells what creation gave.
func (w *worker) createTemporary(at *place, source *fsys.Stat) (fd int, temporary string, made *fsys.Stat, err error) {
	d := at.directory
	temporary = w.temporaryName()
	given := d.creation.Load()
	mode := uint32(0o600)
	if given != nil {
		if user, group := w.job.policy.newOwner(source, given.Uid, given.Gid); user < 0 && group < 0 {
			mode = w.directMode(d, given, w.job.policy.mode(source, at.existing()))
		}
	}
	d.written.Store(true)
	if fd, err = fsys.CreateFile(d.destination, temporary, mode, w.job.parameters.verify); err != nil {
		return -1, "", nil, err
	}
	if given == nil {
		given = &fsys.Stat{}
		if err := fsys.Fstat(fd, given); err != nil {
			fsys.Close(fd)
			at.discard(temporary)
			return -1, "", nil, err
		}
		d.creation.Store(given)
		return fd, temporary, given, nil
	}
	made = &w.made
	*made = *given
	if mode != 0o600 {
		made.Mode = unix.S_IFREG | mode
	}
	return fd, temporary, made, nil
}

// directMode gives the mode to create a file with: the wanted one, unless the file system or an inherited access
// control list gives others than asked for.
func (w *worker) directMode(d *directory, given *fsys.Stat, wanted uint32) uint32 {
	if d.inheritsACL || fsys.Permissions(given) != 0o600 || wanted&^0o777 != 0 {
		return 0o600
	}
	return wanted
}

// fill copies the content; once more if the source changed meanwhile.
func (w *worker) fill(at *place, to, from int, source *fsys.Stat) error {
	if err := w.copyData(to, from, source); err != nil {
		return err
	}
	now := &w.now
	if err := fsys.Fstat(from, now); err != nil {
		return unable("read the source", err)
	}
	if unchanged(source, now) {
		return nil
	}
	w.job.Meter.RetryCount.Add(1)
	*source = *now
	if err := fsys.Truncate(to, 0); err != nil {
		return err
	}
	if err := w.copyData(to, from, source); err != nil {
		return err
	}
	if err := fsys.Fstat(from, now); err != nil {
		return unable("read the source", err)
	}
	if !unchanged(source, now) {
		// The copy gets the time of before, so that the next run copies the file again.
		if err := fsys.Opened(to).SetModified(source.Mtim); err != nil {
			return unable("set the times", err)
		}
		w.job.Warning("source_changed", "the file changed twice while it was copied", display(at.directory.join(at.name)))
	}
	return nil
}

func unchanged(before, now *fsys.Stat) bool {
	return before.Size == now.Size && fsys.SameModified(before, now)
}

func (w *worker) verify(to, from int, source *fsys.Stat) error {
	same, err := w.sameContent(from, to, source.Size)
	if err != nil {
		return err
	}
	if !same {
		return &entryError{code: wire.VerificationFailed, message: "the copy differs from its source"}
	}
	w.counters.FilesVerified++
	return nil
}
