// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
)

// synchronize makes an entry that is no directory equal.
func (w *worker) synchronize(d *directory, entry *item) error {
	if entry.kind == fsys.TypeRegular && entry.existing == absent && !w.job.DryRun && d.source.Tree() == nil {
		return w.createRegular(d, entry)
	}
	var source fsys.Stat
	if err := d.source.Lstat(entry.name, &source); err != nil {
		return unableToRead("read the source", err)
	}
	if source.Type() != entry.kind {
		return replaced("source")
	}
	w.counters.count(&source)
	at := &place{directory: d, name: entry.name}
	if entry.existing != absent {
		if err := w.lookAt(at); err != nil {
			return err
		}
		if at.present && at.stat.IsDirectory() && !w.job.skips(&source) {
			if later, err := w.isInTheWay(at); later || err != nil {
				return err
			}
		}
	}
	if w.job.links(&source) {
		w.job.deferLink(at, &source)
		return nil
	}
	_, err := w.make(at, &source)
	return err
}

// make makes an entry that no later phase has to see to. It gives what the destination's name is afterwards, as far as
// its inode goes: inode 0 where it was or would be made anew.
func (w *worker) make(at *place, source *fsys.Stat) (fsys.Identity, error) {
	switch {
	case source.IsRegular():
		if w.keepsNewer(at, source) {
			return at.stat.Identity(), nil
		}
		return w.syncFile(at, noFile, source)
	case source.IsSymlink():
		return w.syncSymlink(at, source)
	}
	return w.syncSpecial(at, source)
}

// lookAt reads what has the name at the destination.
func (w *worker) lookAt(at *place) error {
	parent := at.directory.destination
	if !parent.IsOpen() {
		return nil
	}
	if err := parent.Lstat(at.name, &at.stat); fsys.IsNotExist(err) {
		return nil
	} else if err != nil {
		return unable("read the destination", err)
	}
	at.present = true
	if !at.stat.IsSymlink() {
		return nil
	}
	var err error
	at.target, err = w.lister.ReadLink(parent, at.name)
	return unable("read the destination", err)
}

// isInTheWay tells whether a directory has entries that must be deleted before a source that is none can take its
// name; they are noted, to be made later.
func (w *worker) isInTheWay(at *place) (bool, error) {
	opened, err := at.directory.destination.OpenDirectory(at.name)
	if err != nil {
		return false, unable("read the destination", err)
	}
	defer opened.Close()
	entries, err := w.lister.List(opened)
	if err != nil {
		return false, unable("read the destination", err)
	}
	if len(entries) == 0 {
		return false, nil
	}
	if !w.job.parameters.delete {
		return false, errBlocked
	}
	w.job.deferEntry(at)
	return true, nil
}

// syncSymlink makes a symbolic link equal: its target, owner and time. It has no mode that counts.
func (w *worker) syncSymlink(at *place, source *fsys.Stat) (fsys.Identity, error) {
	d, policy := at.directory, w.job.policy
	target, err := d.source.ReadLink(&w.lister, at.name)
	if err != nil {
		return fsys.Identity{}, unableToRead("read the source", err)
	}
	if at.present && at.stat.IsSymlink() && at.target == target && !w.job.isAnothers(at) {
		found := policy.compare(source, &at.stat)
		if found.empty() {
			return at.stat.Identity(), nil
		}
		if w.job.isOwn(at) {
			return at.stat.Identity(), w.updateSymlink(at, source, &found)
		}
	}
	if !w.job.DryRun {
		if err := w.makeSymlink(at, source, target); err != nil {
			return fsys.Identity{}, unable("make the symbolic link", err)
		}
	} else if !at.present {
		policy.noteOwner(source)
	}
	w.counters.SymlinksCreated++
	w.noteNeed(at, 0)
	w.reportMade(at, source, target)
	return fsys.Identity{}, nil
}

func (w *worker) updateSymlink(at *place, source *fsys.Stat, found *difference) error {
	if !w.job.DryRun {
		if err := setLinkMetadata(at, source, found); err != nil {
			return err
		}
	}
	w.reportMetadata(at, source, found)
	return nil
}

func setLinkMetadata(at *place, source *fsys.Stat, found *difference) error {
	parent := at.directory.destination
	if found.owner >= 0 || found.group >= 0 {
		if err := chownLink(parent, at.name, &at.stat, found.owner, found.group); err != nil {
			return unable("set the owner", err)
		}
	}
	if found.modified {
		return unable("set the times", parent.SetLinkModified(at.name, source.Modified()))
	}
	return nil
}

// chownLink gives away the symbolic link that stat describes, and nothing that has taken its name.
func chownLink(parent fsys.Directory, name string, stat *fsys.Stat, user, group int) error {
	entry, err := parent.OpenEntry(name)
	if err != nil {
		return err
	}
	defer entry.Close()
	var held fsys.Stat
	if err := entry.Stat(&held); err != nil {
		return err
	}
	if !held.IsSymlink() || !held.IsSame(stat) {
		return replaced("destination")
	}
	return entry.Chown(user, group)
}

func (w *worker) makeSymlink(at *place, source *fsys.Stat, target string) (err error) {
	parent, temporary := at.directory.destination, w.temporaryName()
	at.directory.written.Store(true)
	if err := parent.MakeSymlink(temporary, target, source); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			at.discard(temporary)
		}
	}()
	var made fsys.Stat
	if err := parent.Lstat(temporary, &made); err != nil {
		return err
	}
	if user, group := w.job.policy.newOwner(source, made.User(), made.Group()); user >= 0 || group >= 0 {
		if err := chownLink(parent, temporary, &made, user, group); err != nil {
			return err
		}
	}
	if w.job.policy.timestamps {
		if err := parent.SetLinkModified(temporary, source.Modified()); err != nil {
			return err
		}
	}
	failpoint.Hit("file_sync.temporary_created")
	if err := w.put(at, temporary); err != nil {
		return err
	}
	failpoint.Hit("file_sync.symlink_made")
	return nil
}

// skips tells whether a source is a special that this job does not make.
func (j *syncJob) skips(source *fsys.Stat) bool {
	switch source.Type() {
	case fsys.TypeRegular, fsys.TypeSymlink, fsys.TypeDirectory:
		return false
	case fsys.TypeOther:
		return true
	}
	return !j.policy.specials || source.IsDevice() && !j.policy.root
}

// syncSpecial makes a fifo, socket or device equal. What cannot be made is told and left out.
func (w *worker) syncSpecial(at *place, source *fsys.Stat) (fsys.Identity, error) {
	if w.job.skips(source) {
		w.skip(at, source)
		return fsys.Identity{}, nil
	}
	if at.present && isSameSpecial(&at.stat, source) && !w.job.isAnothers(at) {
		found, err := w.differences(at, source)
		if err != nil || found.empty() {
			return at.stat.Identity(), err
		}
		if w.job.isOwn(at) {
			return at.stat.Identity(), w.updateMetadata(at, source, &found)
		}
	}
	if w.job.DryRun {
		w.job.policy.noteOwner(source)
	} else {
		err := w.makeSpecial(at, source, nil)
		if err == errNotPermitted {
			w.skip(at, source)
			return fsys.Identity{}, nil
		}
		if err != nil {
			return fsys.Identity{}, unable("make the special file", err)
		}
	}
	w.counters.SpecialsCreated++
	w.noteNeed(at, 0)
	w.reportMade(at, source, "")
	return fsys.Identity{}, nil
}

func isSameSpecial(stat, source *fsys.Stat) bool {
	return source.Type() == stat.Type() && (!source.IsDevice() || source.SameDevice(stat))
}

func (w *worker) skip(at *place, source *fsys.Stat) {
	w.counters.Skipped++
	kind := source.Kind()
	if source.Type() == fsys.TypeOther {
		kind = "junction"
	}
	w.job.Warning("special_skipped", "the "+kind+" was not copied", display(at.directory.join(at.name)))
}

// makeSpecial makes a special file; from is nil for the attributes of the source's.
func (w *worker) makeSpecial(at *place, source *fsys.Stat, from attributed) error {
	parent, temporary := at.directory.destination, w.temporaryName()
	at.directory.written.Store(true)
	err := parent.MakeSpecial(temporary, 0o600, source)
	if fsys.IsNotPermitted(err) {
		return errNotPermitted
	}
	if err != nil {
		return err
	}
	failpoint.Hit("file_sync.temporary_created")
	err = w.settleSpecial(at, source, from, temporary)
	if err == nil {
		if err = w.put(at, temporary); err == nil {
			failpoint.Hit("file_sync.special_made")
			return nil
		}
	}
	at.discard(temporary)
	return unable("make the special file", err)
}

func (w *worker) settleSpecial(at *place, source *fsys.Stat, from attributed, temporary string) error {
	to, err := at.directory.destination.OpenEntry(temporary)
	if err != nil {
		return err
	}
	defer to.Close()
	var made fsys.Stat
	if err := to.Stat(&made); err != nil {
		return err
	}
	if !isSameSpecial(&made, source) {
		return replaced("destination")
	}
	if from == nil {
		from = sourceEntry{at}
	}
	return w.settle(at, source, &made, to, from)
}
