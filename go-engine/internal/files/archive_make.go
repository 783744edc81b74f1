// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"archive/tar"
	"io"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// carryOut does what was found to be done, in the order of the archive.
func (u *unpackJob) carryOut() error {
	var reader *archiveReader
	if !u.DryRun && u.needsContent() {
		var err error
		if reader, err = openArchive(u.ctx, u.source, u.archive); err != nil {
			return err
		}
		defer reader.close()
	}
	for _, entry := range u.entries {
		if u.stopped.Load() {
			return u.ctx.Err()
		}
		if reader != nil && entry.listed {
			if err := u.follow(reader, entry); err != nil {
				return err
			}
		}
		u.Meter.SetCurrent(display(entry.path))
		err := u.make(entry, reader)
		if failure, fatal := err.(*wire.Failure); fatal {
			return failure
		}
		if err != nil && err != errStopped {
			entry.err = err
		}
		u.entryFailed(entry.path, err)
		u.Meter.ItemsDone.Add(1)
	}
	return nil
}

func (u *unpackJob) needsContent() bool {
	for _, entry := range u.entries {
		if entry.todo == makeAnew && entry.stat.IsRegular() && !entry.isLink() && entry.err == nil {
			return true
		}
	}
	return false
}

// follow reads up to the entry, which must still be what it was.
func (u *unpackJob) follow(reader *archiveReader, entry *unpacked) error {
	for {
		header, err := reader.next()
		if err == io.EOF {
			return u.changed()
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		path, err := u.inside(header.Name, "the entry")
		if err != nil {
			return err
		}
		if path != entry.path || entry.stat.IsRegular() && !entry.isLink() && header.Size != entry.stat.Size() {
			return u.changed()
		}
		return nil
	}
}

func (u *unpackJob) changed() error {
	return wire.Fail(wire.SourceChanged, "the archive %s changed while it was unpacked", u.source.path)
}

func (u *unpackJob) make(entry *unpacked, reader *archiveReader) error {
	w := u.worker
	switch {
	case entry.ignored && entry.stat.Type() == 0:
		w.counters.Skipped++
		u.Warning("special_skipped", "the entry of an unknown type was not unpacked", display(entry.path))
		return nil
	case entry.ignored:
		return nil
	case entry.err != nil:
		return entry.err
	case u.skips(entry):
		w.counters.Skipped++
		u.Warning("special_skipped", "the "+entry.stat.Kind()+" was not unpacked", display(entry.path))
		return nil
	case entry.todo == nothing:
		if entry.stat.IsRegular() {
			w.counters.FilesUnchanged++
			u.Meter.BytesPassed.Add(entry.stat.Size())
		}
		return nil
	}
	at, err := u.at(entry)
	if err != nil {
		return err
	}
	switch {
	case entry.todo == setMetadata && entry.stat.IsDirectory():
		w.reportMetadata(at, &entry.stat, entry.found) // set when all in it is done
		return nil
	case entry.todo == setMetadata && entry.stat.IsSymlink():
		return w.updateSymlink(at, &entry.stat)
	case entry.todo == setMetadata:
		w.counters.FilesUnchanged += boolToInt(entry.stat.IsRegular())
		return w.updateMetadata(at, &entry.stat, entry.found)
	}
	return u.makeAnew(at, entry, reader)
}

func boolToInt(value bool) int64 {
	if value {
		return 1
	}
	return 0
}

// at gives the place of an entry, in a directory that can be written in.
func (u *unpackJob) at(entry *unpacked) (*place, error) {
	at := &place{directory: &directory{}, present: entry.existing != nil, target: entry.oldTarget}
	if entry.existing != nil {
		at.stat = *entry.existing
	}
	if entry.path == "" {
		return at, nil
	}
	above, name := split(entry.path)
	at.name, at.directory.path = name, above
	if u.DryRun || entry.todo == setMetadata && entry.stat.IsDirectory() {
		return at, nil
	}
	var err error
	at.directory, err = u.openToWrite(above)
	return at, err
}

func (u *unpackJob) openToWrite(path string) (*directory, error) {
	if u.opened != nil && u.opened.path == path {
		return u.opened, nil
	}
	u.closeOpened()
	opened, err := u.reopenDestination(path)
	if err != nil {
		return nil, err
	}
	u.opened = &directory{path: path, destination: opened, inheritsACL: true}
	if u.cleaned[path] {
		return u.opened, nil
	}
	u.cleaned[path] = true
	return u.opened, u.removeLeftovers(opened)
}

// removeLeftovers removes what a killed run left in a directory that was just opened.
func (u *unpackJob) removeLeftovers(directory fsys.Directory) error {
	entries, err := u.worker.lister.List(directory)
	if err != nil {
		return unable("read the destination", err)
	}
	for _, entry := range entries {
		if isTemporary(entry.Name) && entry.Type != fsys.TypeDirectory {
			if err := directory.Remove(entry.Name); err != nil && !fsys.IsNotExist(err) {
				return unable("remove what an earlier run left", err)
			}
		}
	}
	return nil
}

func (u *unpackJob) makeAnew(at *place, entry *unpacked, reader *archiveReader) error {
	w, source := u.worker, &entry.stat
	if u.DryRun && !entry.isLink() && !entry.implied && !at.present {
		u.policy.noteOwner(source)
	}
	switch {
	case source.IsDirectory():
		if err := u.makeDirectory(at, entry); err != nil {
			return unable("make the directory", err)
		}
		w.counters.DirectoriesCreated++
	case entry.isLink():
		if err := u.makeHardLink(at, entry); err != nil {
			return unable("make the hard link", err)
		}
		w.counters.HardLinksCreated++
	case source.IsRegular():
		if err := u.makeFile(at, entry, reader); err != nil {
			return err
		}
		w.counters.FilesCopied++
		w.counters.BytesCopied += source.Size()
	case source.IsSymlink():
		if !u.DryRun {
			if err := w.makeSymlink(at, source, entry.target); err != nil {
				return unable("make the symbolic link", err)
			}
		}
		w.counters.SymlinksCreated++
	default:
		if !u.DryRun {
			err := w.makeSpecial(at, source, entry)
			if err == errNotPermitted {
				w.counters.Skipped++
				u.Warning("special_skipped", "the "+source.Kind()+" was not unpacked", display(entry.path))
				return nil
			}
			if err != nil {
				return unable("make the special file", err)
			}
		}
		w.counters.SpecialsCreated++
	}
	w.reportMade(at, source, entry.target)
	return nil
}

// makeDirectory makes a directory that is closed to others until it is complete.
func (u *unpackJob) makeDirectory(at *place, entry *unpacked) error {
	if u.DryRun || entry.path == "" {
		return nil
	}
	parent := at.directory.destination
	if at.present {
		if err := parent.Remove(at.name); err != nil && !fsys.IsNotExist(err) {
			return err
		}
	}
	err := parent.MakeDirectory(at.name, 0o700)
	failpoint.Hit("file_archive.directory_made")
	return err
}

func (u *unpackJob) makeHardLink(at *place, entry *unpacked) (err error) {
	if entry.leader.err != nil {
		return entry.leader.err
	}
	if u.DryRun {
		return nil
	}
	above, name := split(entry.leader.path)
	from, err := u.roots.destination.OpenBelow(above, fsys.Directory.OpenDirectory)
	if err != nil {
		return err
	}
	defer from.Close()
	temporary := u.worker.temporaryName()
	if err := from.Link(name, at.directory.destination, temporary); err != nil {
		return err
	}
	failpoint.Hit("file_archive.temporary_created")
	var made fsys.Stat
	err = at.directory.destination.Lstat(temporary, &made)
	if err == nil && made.Identity() != entry.leader.inode {
		err = replaced("destination")
	}
	if err == nil {
		err = u.worker.put(at, temporary)
	}
	if err != nil {
		at.discard(temporary)
	}
	return err
}

// makeFile writes a file under a temporary name, and renames it.
func (u *unpackJob) makeFile(at *place, entry *unpacked, reader *archiveReader) error {
	if u.DryRun {
		return nil
	}
	w, to := u.worker, at.directory.destination
	u.Meter.Begin()
	defer u.Meter.End()
	temporary := w.temporaryName()
	file, err := to.CreateFile(temporary, 0o600, false)
	if err != nil {
		return unable("make the file", err)
	}
	failpoint.Hit("file_archive.temporary_created")
	err = u.fillFile(at, entry, file, reader)
	file.Close()
	if err == nil {
		err = unable("rename the file", w.put(at, temporary))
	}
	if err != nil {
		at.discard(temporary)
		return err
	}
	u.Meter.FilesCopied.Add(1)
	failpoint.Hit("file_archive.renamed")
	return nil
}

func (u *unpackJob) fillFile(at *place, entry *unpacked, file fsys.File, reader *archiveReader) error {
	w := u.worker
	w.needBuffers()
	stream := fsys.Stream{File: file}
	for {
		length, err := reader.Read(w.buffer)
		if length > 0 {
			if failed := write(&stream, w.buffer[:length], entry.sparse); failed != nil {
				return withNeed(unable("write the file", failed), entry.stat.Size())
			}
			u.Meter.BytesDone.Add(int64(length))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return reader.failure(err)
		}
	}
	if entry.sparse {
		if err := file.Truncate(stream.Offset); err != nil {
			return unable("write the file", err)
		}
	}
	failpoint.Hit("file_archive.data_written")
	if err := u.flusher.file(file); err != nil {
		return err
	}
	var made fsys.Stat
	if err := file.Stat(&made); err != nil {
		return unable("read the destination", err)
	}
	entry.inode = made.Identity()
	return w.settle(at, &entry.stat, &made, file.Handle(), entry)
}

var hole [4096]byte

// write appends data; of a sparse file blocks of zeros are left out.
func write(stream *fsys.Stream, data []byte, sparse bool) error {
	if !sparse {
		_, err := stream.Write(data)
		return err
	}
	for len(data) > 0 {
		piece := data[:min(len(data), len(hole)-int(stream.Offset%int64(len(hole))))]
		if string(piece) == string(hole[:len(piece)]) {
			stream.Offset += int64(len(piece))
		} else if _, err := stream.Write(piece); err != nil {
			return err
		}
		data = data[len(piece):]
	}
	return nil
}
