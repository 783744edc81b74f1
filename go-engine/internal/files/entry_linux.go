// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
)

// synchronize makes an entry that is no directory equal.
func (w *worker) synchronize(d *directory, entry *item) error {
	if entry.kind == unix.S_IFREG && entry.existing == absent && !w.job.DryRun {
		return w.createRegular(d, entry)
	}
	var source fsys.Stat
	if err := fsys.Lstat(d.source, entry.name, &source); err != nil {
		return unableToRead("read the source", err)
	}
	if fsys.Type(&source) != entry.kind {
		return replaced("source")
	}
	w.counters.count(&source)
	at := &place{directory: d, name: entry.name}
	if entry.existing != absent {
		if err := w.lookAt(at); err != nil {
			return err
		}
		if at.present && fsys.IsDirectory(&at.stat) && !w.skips(&source) {
			if later, err := w.isInTheWay(at); later || err != nil {
				return err
			}
		}
	}
	if w.job.links(&source) {
		w.job.deferLink(d, entry.name, &source)
		return nil
	}
	return w.make(at, &source)
}

// make makes an entry that no later phase has to see to.
func (w *worker) make(at *place, source *fsys.Stat) error {
	switch {
	case fsys.IsRegular(source):
		_, err := w.syncFile(at, -1, source)
		return err
	case fsys.IsSymlink(source):
		return w.syncSymlink(at, source)
	}
	return w.syncSpecial(at, source)
}

// lookAt reads what has the name at the destination.
func (w *worker) lookAt(at *place) error {
	parent := at.directory.destination
	if parent < 0 {
		return nil
	}
	if err := fsys.Lstat(parent, at.name, &at.stat); err == unix.ENOENT {
		return nil
	} else if err != nil {
		return unable("read the destination", err)
	}
	at.present = true
	if !fsys.IsSymlink(&at.stat) {
		return nil
	}
	var err error
	at.target, err = w.lister.ReadLink(parent, at.name)
	return unable("read the destination", err)
}

// isInTheWay tells whether a directory has entries that must be deleted before a source that is none can take its
// name; they are noted, to be made later.
func (w *worker) isInTheWay(at *place) (bool, error) {
	fd, err := fsys.OpenDirectory(at.directory.destination, at.name)
	if err != nil {
		return false, unable("read the destination", err)
	}
	defer fsys.Close(fd)
	entries, err := w.lister.List(fd)
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
func (w *worker) syncSymlink(at *place, source *fsys.Stat) error {
	d, policy := at.directory, w.job.policy
	target, err := w.lister.ReadLink(d.source, at.name)
	if err != nil {
		return unableToRead("read the source", err)
	}
	if at.present && fsys.IsSymlink(&at.stat) && at.target == target {
		return w.updateSymlink(at, source)
	}
	if !w.job.DryRun {
		if err := w.makeSymlink(at, source, target); err != nil {
			return unable("make the symbolic link", err)
		}
	} else if !at.present {
		policy.noteOwner(source)
	}
	w.counters.SymlinksCreated++
	w.reportMade(at, source, target)
	return nil
}

func (w *worker) updateSymlink(at *place, source *fsys.Stat) error {
	d := at.directory
	found := w.job.policy.compare(source, &at.stat)
	if found.empty() {
		return nil
	}
	if !w.job.DryRun {
		if found.owner >= 0 || found.group >= 0 {
			if err := fsys.ChownLink(d.destination, at.name, found.owner, found.group); err != nil {
				return unable("set the owner", err)
			}
		}
		if found.modified {
			if err := fsys.SetLinkModified(d.destination, at.name, source.Mtim); err != nil {
				return unable("set the times", err)
			}
		}
	}
	w.reportMetadata(at, source, &found)
	return nil
}

func (w *worker) makeSymlink(at *place, source *fsys.Stat, target string) (err error) {
	parent, temporary := at.directory.destination, w.temporaryName()
	at.directory.written.Store(true)
	if err := fsys.MakeSymlink(parent, temporary, target); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			at.discard(temporary)
		}
	}()
	var made fsys.Stat
	if err := fsys.Lstat(parent, temporary, &made); err != nil {
		return err
	}
	if user, group := w.job.policy.newOwner(source, made.Uid, made.Gid); user >= 0 || group >= 0 {
		if err := fsys.ChownLink(parent, temporary, user, group); err != nil {
			return err
		}
	}
	if w.job.policy.timestamps {
		if err := fsys.SetLinkModified(parent, temporary, source.Mtim); err != nil {
			return err
		}
	}
	failpoint.Hit("file_sync.temporary_created")
	if err := at.put(temporary); err != nil {
		return err
	}
	failpoint.Hit("file_sync.symlink_made")
	return nil
}

// skips tells whether a source is a special that this job does not make.
func (w *worker) skips(source *fsys.Stat) bool {
	switch fsys.Type(source) {
	case unix.S_IFREG, unix.S_IFLNK, unix.S_IFDIR:
		return false
	}
	return !w.job.parameters.preserve.specials || fsys.IsDevice(source) && !w.job.policy.root
}

// syncSpecial makes a fifo, socket or device equal. What cannot be made is told and left out.
func (w *worker) syncSpecial(at *place, source *fsys.Stat) error {
	if w.skips(source) {
		w.skip(at, source)
		return nil
	}
	same := at.present && fsys.Type(source) == fsys.Type(&at.stat) && (!fsys.IsDevice(source) || source.Rdev == at.stat.Rdev)
	if same {
		found, err := w.differences(at, source)
		if err != nil || found.empty() {
			return err
		}
		return w.updateMetadata(at, source, &found)
	}
	if w.job.DryRun {
		w.job.policy.noteOwner(source)
	} else {
		err := w.makeSpecial(at, source)
		if err == unix.EPERM {
			// Such as root in a container without the capability.
			w.skip(at, source)
			return nil
		}
		if err != nil {
			return unable("make the special file", err)
		}
	}
	w.counters.SpecialsCreated++
	w.reportMade(at, source, "")
	return nil
}

func (w *worker) skip(at *place, source *fsys.Stat) {
	w.counters.Skipped++
	w.job.Warning("special_skipped", "the "+fsys.Kind(source)+" was not copied", display(at.directory.join(at.name)))
}

func (w *worker) makeSpecial(at *place, source *fsys.Stat) error {
	parent, temporary := at.directory.destination, w.temporaryName()
	at.directory.written.Store(true)
	if err := fsys.MakeSpecial(parent, temporary, fsys.Type(source), 0o600, source.Rdev); err != nil {
		return err
	}
	failpoint.Hit("file_sync.temporary_created")
	err := w.settleSpecial(at, source, temporary)
	if err == nil {
		if err = at.put(temporary); err == nil {
			failpoint.Hit("file_sync.special_made")
			return nil
		}
	}
	at.discard(temporary)
	return unable("make the special file", err)
}

func (w *worker) settleSpecial(at *place, source *fsys.Stat, temporary string) error {
	fd, err := fsys.OpenEntry(at.directory.destination, temporary)
	if err != nil {
		return err
	}
	defer fsys.Close(fd)
	var made fsys.Stat
	if err := fsys.Fstat(fd, &made); err != nil {
		return err
	}
	from, err := fsys.OpenEntry(at.directory.source, at.name)
	if err != nil {
		return unableToRead("read the source", err)
	}
	defer fsys.Close(from)
	return w.settle(at, source, &made, fsys.Held(fd), fsys.Held(from))
}
