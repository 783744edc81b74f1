// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
)

// make does what is to be done for an entry in its directory; that of a directory itself comes when all in it is done.
func (u *unpackJob) make(w *worker, d *directory, entry *unpacked, content *content) error {
	_, name := split(entry.path)
	at := &place{directory: d, name: name, present: entry.existing != nil, target: entry.oldTarget}
	_, at.listed = entry.attributes[fsys.AccessACL]
	if entry.existing != nil {
		at.stat = *entry.existing
	}
	source := &entry.stat
	switch {
	case entry.todo == setMetadata && source.IsSymlink():
		return setLinkMetadata(at, source, entry.found)
	case entry.todo == setMetadata:
		return w.setMetadata(at, source, entry.found)
	case source.IsDirectory():
		return unable("make the directory", u.makeDirectory(w, at, entry))
	case entry.isLink():
		return unable("make the hard link", u.makeHardLink(w, at, entry))
	case source.IsRegular():
		return u.makeFile(w, at, entry, content)
	case source.IsSymlink():
		return unable("make the symbolic link", w.makeSymlink(at, source, entry.target))
	}
	err := w.makeSpecial(at, source, entry)
	if err == errNotPermitted {
		entry.refused = true
		return nil
	}
	return unable("make the special file", err)
}

func (u *unpackJob) makeDirectory(w *worker, at *place, entry *unpacked) error {
	parent := at.directory.destination
	if at.present {
		if err := parent.Remove(at.name); err != nil && !fsys.IsNotExist(err) {
			return err
		}
	}
	mode, err := u.firstMode(entry)
	if err != nil {
		return err
	}
	if err := parent.MakeDirectory(at.name, mode); err != nil {
		return err
	}
	failpoint.Hit("file_archive.directory_made")
	if mode == closedMode || u.policy.permissions && !at.directory.inheritsACL {
		return nil
	}
	opened, err := parent.OpenDirectory(at.name)
	if err != nil {
		return err
	}
	defer opened.Close()
	return u.settleEmpty(w, opened, at.directory.inheritsACL, entry, mode)
}

// firstMode gives the mode that a directory is made with. Of one that is only implied none is ever compared.
func (u *unpackJob) firstMode(entry *unpacked) (uint32, error) {
	return u.policy.firstMode(&entry.stat, u.policy.permissions && !entry.implied, entry)
}

// settleEmpty is that of syncJob, for a directory of an archive.
func (u *unpackJob) settleEmpty(w *worker, opened fsys.Directory, inherits bool, entry *unpacked, mode uint32) error {
	if !entry.implied {
		d := &directory{path: entry.path, destination: opened, sourceStat: entry.stat, inheritsACL: inherits}
		return w.settleEmpty(d, mode)
	}
	if inherits {
		return opened.Handle().Chmod(mode)
	}
	return nil
}

func (u *unpackJob) makeHardLink(w *worker, at *place, entry *unpacked) error {
	leader := entry.leader
	if leader.parcel != nil {
		leader.parcel.await(entry)
	}
	if leader.err != nil {
		return leader.err
	}
	above, name := split(leader.path)
	from, err := u.roots.destination.OpenBelow(above, fsys.Directory.OpenDirectory)
	if err != nil {
		return err
	}
	defer from.Close()
	temporary := w.temporaryName()
	if err := from.Link(name, at.directory.destination, temporary); err != nil {
		return err
	}
	failpoint.Hit("file_archive.temporary_created")
	var made fsys.Stat
	err = at.directory.destination.Lstat(temporary, &made)
	if err == nil && made.Identity() != leader.inode {
		err = replaced("destination")
	}
	if err == nil {
		err = w.put(at, temporary)
	}
	if err != nil {
		at.discard(temporary)
	}
	return err
}

// makeFile writes a file under a temporary name, and renames it.
func (u *unpackJob) makeFile(w *worker, at *place, entry *unpacked, content *content) error {
	u.Meter.Begin()
	defer u.Meter.End()
	file, temporary, made, err := w.createTemporary(at, &entry.stat)
	if err != nil {
		return unable("make the file", err)
	}
	failpoint.Hit("file_archive.temporary_created")
	err = u.fillFile(file, entry, content)
	if err == nil {
		err = u.flusher.file(file)
	}
	if err == nil {
		err = w.settle(at, &entry.stat, made, file.Handle(), entry)
	}
	if finished := file.Finish(); err == nil {
		err = unable("finish the file", finished)
	}
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

func (u *unpackJob) fillFile(file fsys.File, entry *unpacked, content *content) error {
	stream := fsys.Stream{File: file}
	err := content.each(func(data []byte) error {
		if err := write(&stream, data, entry.sparse); err != nil {
			return withNeed(unable("write the file", err), entry.stat.Size())
		}
		u.Meter.BytesDone.Add(int64(len(data)))
		return nil
	})
	if err != nil {
		return err
	}
	if entry.sparse {
		if err := file.Truncate(stream.Offset); err != nil {
			return unable("write the file", err)
		}
	}
	failpoint.Hit("file_archive.data_written")
	if !entry.leads {
		return nil
	}
	var made fsys.Stat
	if err := file.Stat(&made); err != nil {
		return unable("read the destination", err)
	}
	entry.inode = made.Identity()
	return nil
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

// tell counts an entry and tells what was done for it, or in a dry run what would be.
func (u *unpackJob) tell(entry *unpacked) {
	w, source := u.worker, &entry.stat
	if entry.todo == makeAnew && entry.isLink() && entry.err == nil {
		entry.err = entry.leader.err
	}
	switch {
	case entry.ignored && source.Type() == 0:
		u.skipped(entry, "entry of an unknown type")
	case entry.ignored:
	case entry.err != nil:
		u.entryFailed(entry.path, entry.err)
	case entry.refused || u.skips(entry):
		u.skipped(entry, source.Kind())
	case entry.todo == makeAnew:
		u.tellMade(entry)
	default:
		if source.IsRegular() {
			w.counters.FilesUnchanged++
		}
		if entry.todo == setMetadata {
			w.reportMetadata(u.placeOf(entry), source, entry.found)
		} else if source.IsRegular() {
			u.Meter.BytesPassed.Add(source.Size())
		}
	}
	u.Meter.ItemsDone.Add(1)
}

func (u *unpackJob) skipped(entry *unpacked, what string) {
	u.worker.counters.Skipped++
	u.Warning("special_skipped", "the "+what+" was not unpacked", display(entry.path))
}

func (u *unpackJob) tellMade(entry *unpacked) {
	counters, source := &u.worker.counters, &entry.stat
	if u.DryRun && !entry.isLink() && !entry.implied && entry.existing == nil {
		u.policy.noteOwner(source)
	}
	switch {
	case source.IsDirectory():
		counters.DirectoriesCreated++
	case entry.isLink():
		counters.HardLinksCreated++
	case source.IsRegular():
		counters.FilesCopied++
		counters.BytesCopied += source.Size()
	case source.IsSymlink():
		counters.SymlinksCreated++
	default:
		counters.SpecialsCreated++
	}
	u.worker.reportMade(u.placeOf(entry), source, entry.target)
}

// placeOf gives the place of an entry as far as it is told.
func (u *unpackJob) placeOf(entry *unpacked) *place {
	above, name := split(entry.path)
	u.told.path = above
	at := &place{directory: &u.told, name: name, present: entry.existing != nil, target: entry.oldTarget}
	if at.present {
		at.stat = *entry.existing
	}
	return at
}
