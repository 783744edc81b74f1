// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync/atomic"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// directory is one that is open on both sides. It stays open until everything in it is done; then its own metadata
// is set.
type directory struct {
	parent      *directory
	path        string // relative to the root, whose path is empty
	source      origin.Directory
	destination fsys.Directory // none in a dry run that would create it
	sourceStat  fsys.Stat
	existing    fsys.Stat // before the run, unless fresh
	fresh       bool      // created by this run, or to be created: nothing is in it
	difference  difference
	lifted      bool // the mode was changed to let this user write
	inheritsACL bool // new entries get an access control list
	written     atomic.Bool
	creation    atomic.Pointer[fsys.Stat] // what creating gives to new files
	pending     atomic.Int64
}

func (d *directory) join(name string) string { return join(d.path, name) }

func (d *directory) close() {
	if d.parent != nil || d.path != "" {
		d.source.Close()
		d.destination.Close()
	}
}

// openRootDirectory makes the directory of the two roots, whose descriptors belong to the job.
func (w *worker) openRootDirectory() (*directory, error) {
	job := w.job
	d := &directory{source: job.roots.source, destination: job.roots.destination, fresh: job.roots.created}
	if err := d.source.Stat(&d.sourceStat); err != nil {
		return nil, unable("read the source", err)
	}
	if d.fresh {
		w.reportMadeDirectory(d, nil, "")
		if d.destination.IsOpen() {
			inherited, err := d.destination.Handle().Attributes()
			if err != nil {
				return nil, unable("read the extended attributes", err)
			}
			_, d.inheritsACL = inherited[fsys.DefaultACL]
			return d, w.settleEmpty(d, job.roots.firstMode)
		}
		return d, nil
	}
	if err := d.destination.Stat(&d.existing); err != nil {
		return nil, unable("read the destination", err)
	}
	return d, w.compareDirectory(d, nil)
}

// openChild opens a directory of the source, and opens or makes that of the destination.
func (w *worker) openChild(parent *directory, entry *item) (*directory, error) {
	d := &directory{parent: parent, path: parent.join(entry.name)}
	err := w.openSides(d, parent, entry)
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (w *worker) openSides(d, parent *directory, entry *item) (err error) {
	if d.source, err = parent.source.OpenDirectory(entry.name); err != nil {
		return unableToRead("open the source directory", err)
	}
	if err := d.source.Stat(&d.sourceStat); err != nil {
		return unable("read the source", err)
	}
	if w.job.parameters.followSymlinks && parent.isIn(&d.sourceStat) {
		return errLoop
	}
	if !w.job.isElsewhere(&d.sourceStat) && w.job.isRoot(&d.sourceStat, sourceSide) {
		return &entryError{code: wire.PathsOverlap, message: "the directory is one of the two roots"}
	}
	if entry.existing == fsys.TypeDirectory {
		return w.openExisting(d, parent, entry.name)
	}
	return w.makeDirectory(d, parent, entry)
}

// isIn tells whether the directory of the source is one, or in one, that the stat describes.
func (d *directory) isIn(stat *fsys.Stat) bool {
	for ; d != nil; d = d.parent {
		if d.sourceStat.IsSame(stat) {
			return true
		}
	}
	return false
}

// side is one of the two of a job.
type side bool

const sourceSide, destinationSide side = false, true

// isRoot tells whether a directory below a root is a root, as a bind mount can make it. What is on two hosts can be
// numbered alike.
func (j *syncJob) isRoot(stat *fsys.Stat, of side) bool {
	roots := j.roots
	return (of == sourceSide || roots.onOneHost) && stat.IsSame(&roots.sourceStat) ||
		(of == destinationSide || roots.onOneHost) && stat.IsSame(&roots.destinationStat)
}

// isElsewhere tells whether a directory of the source is in another file system and is not to be entered.
func (j *syncJob) isElsewhere(stat *fsys.Stat) bool {
	return j.parameters.oneFileSystem && stat.Identity().Device != j.roots.sourceStat.Identity().Device
}

func (w *worker) openExisting(d, parent *directory, name string) error {
	if err := parent.destination.Lstat(name, &d.existing); err != nil {
		return unable("read the destination", err)
	}
	if !d.existing.IsDirectory() {
		return replaced("destination")
	}
	var current fsys.Attributes
	var err error
	if w.job.policy.mustLift(&d.existing) && !w.job.DryRun {
		if current, err = liftMode(parent.destination, name, &d.existing); err != nil {
			return unable("set the mode", err)
		}
		d.lifted = true
	}
	if d.destination, err = parent.destination.OpenDirectory(name); err != nil {
		return unable("open the destination's directory", err)
	}
	var opened fsys.Stat
	if err := d.destination.Stat(&opened); err != nil {
		return unable("read the destination", err)
	}
	if !opened.IsSame(&d.existing) {
		return replaced("destination")
	}
	if w.job.isRoot(&opened, destinationSide) {
		return &entryError{code: wire.PathsOverlap, message: "the directory is one of the two roots"}
	}
	if err := w.job.flusher.add(d.destination, &opened); err != nil {
		return unable("open the destination's directory", err)
	}
	return w.compareDirectory(d, current)
}

// mustLift tells whether this user, the owner, has closed the directory to himself.
func (p *policy) mustLift(stat *fsys.Stat) bool {
	return !p.root && stat.User() == p.user && stat.Permissions()&0o700 != 0o700
}

// liftMode gives the attributes of before, since a change of the mode changes the access control list.
func liftMode(parent fsys.Directory, name string, stat *fsys.Stat) (fsys.Attributes, error) {
	entry, err := parent.OpenEntry(name)
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	var held fsys.Stat
	if err := entry.Stat(&held); err != nil {
		return nil, err
	}
	if !held.IsSame(stat) {
		return nil, replaced("destination")
	}
	current, err := entry.Attributes()
	if err != nil {
		return nil, err
	}
	return current, entry.Chmod(stat.Permissions() | 0o700)
}

// compareDirectory notes what differs before anything happens in the directory. current are the attributes of the
// destination if they were read already.
func (w *worker) compareDirectory(d *directory, current fsys.Attributes) error {
	policy := w.job.policy
	d.difference = policy.compare(&d.sourceStat, &d.existing)
	handle := d.destination.Handle()
	var err error
	if current == nil {
		if current, err = handle.Attributes(); err != nil {
			return unable("read the extended attributes", err)
		}
	}
	_, d.inheritsACL = current[fsys.DefaultACL]
	if !policy.xattrs {
		return nil
	}
	wanted, err := d.source.Attributes()
	if err != nil {
		return unable("read the extended attributes", err)
	}
	policy.compareAttributes(&d.difference, wanted, current, handle.Supports, display(d.path))
	return nil
}

// makeDirectory makes the destination's directory.
func (w *worker) makeDirectory(d, parent *directory, entry *item) error {
	d.fresh = true
	d.inheritsACL = parent.inheritsACL
	var existing *fsys.Stat
	var oldTarget string
	if entry.existing != absent {
		existing = &fsys.Stat{}
		if err := parent.destination.Lstat(entry.name, existing); err != nil {
			return unable("read the destination", err)
		}
		if existing.IsSymlink() {
			oldTarget, _ = w.lister.ReadLink(parent.destination, entry.name)
		}
	}
	if !w.job.DryRun {
		if err := w.makeInPlace(d, parent, entry.name, existing); err != nil {
			return err
		}
	}
	w.reportMadeDirectory(d, existing, oldTarget)
	return nil
}

func (w *worker) makeInPlace(d, parent *directory, name string, existing *fsys.Stat) (err error) {
	parent.written.Store(true)
	mode, err := w.job.policy.firstMode(&d.sourceStat, w.job.policy.permissions, d.source)
	if err != nil {
		return err
	}
	if existing != nil {
		w.job.noteLoss(existing)
		if err := parent.destination.Remove(name); err != nil {
			return unable("make the directory", err)
		}
	}
	if err := parent.destination.MakeDirectory(name, mode); err != nil {
		if fsys.IsExist(err) {
			if clash := w.taken(parent.destination, name); clash != nil {
				return clash
			}
		}
		return unable("make the directory", err)
	}
	failpoint.Hit("file_sync.directory_created")
	if d.destination, err = parent.destination.OpenDirectory(name); err != nil {
		return unable("make the directory", err)
	}
	return w.settleEmpty(d, mode)
}

func (w *worker) reportMadeDirectory(d *directory, existing *fsys.Stat, oldTarget string) {
	w.counters.DirectoriesCreated++
	policy := w.job.policy
	if w.job.DryRun {
		policy.noteOwner(&d.sourceStat)
		if d.parent != nil {
			w.noteNeed(&place{directory: d.parent, present: existing != nil}, 0)
		}
	}
	if existing == nil {
		w.job.report("create", &d.sourceStat, d.path, nil, policy.describeCreation(&d.sourceStat, ""))
		return
	}
	before, after := policy.describeReplacement(&d.sourceStat, existing, "", oldTarget)
	w.job.report("update", &d.sourceStat, d.path, before, after)
}

// finish sets what a directory needs when everything in it is done, and closes it.
func (w *worker) finish(d *directory) {
	defer d.close()
	if w.job.stopped.Load() {
		if d.lifted {
			_ = d.destination.Handle().Chmod(d.existing.Permissions())
		}
		return
	}
	var err error
	if d.fresh {
		err = w.finishMade(d)
	} else {
		err = w.finishExisting(d)
	}
	w.job.entryFailed(d.path, err)
}

func (w *worker) finishMade(d *directory) error {
	if w.job.DryRun {
		return nil
	}
	policy, handle := w.job.policy, d.destination.Handle()
	if err := w.giveOwner(d); err != nil {
		return err
	}
	mode := policy.mode(&d.sourceStat, nil)
	if err := handle.Chmod(mode); err != nil {
		return unable("set the mode", err)
	}
	if err := w.copyAttributes(handle, d.source, d.inheritsACL, mode, d, ""); err != nil {
		return err
	}
	if policy.timestamps {
		if err := policy.setModified(handle, &d.sourceStat); err != nil {
			return err
		}
	}
	failpoint.Hit("file_sync.directory_finished")
	return nil
}

func (w *worker) finishExisting(d *directory) error {
	job := w.job
	if !job.DryRun {
		if err := w.settleExisting(d); err != nil {
			return err
		}
	}
	if d.difference.empty() || d.difference.nothingDone() {
		return nil
	}
	w.counters.MetadataUpdated++
	job.report("metadata", &d.sourceStat, d.path, &d.difference.before, &d.difference.after)
	return nil
}

func (w *worker) settleExisting(d *directory) error {
	policy, handle := w.job.policy, d.destination.Handle()
	if d.lifted {
		if err := handle.Chmod(d.existing.Permissions()); err != nil {
			return unable("set the mode", err)
		}
	}
	if !d.difference.empty() {
		if err := policy.apply(handle, &d.difference, &d.sourceStat, &d.existing); err != nil {
			return err
		}
	}
	if policy.timestamps && !d.difference.modified && d.written.Load() {
		if err := policy.setModified(handle, &d.sourceStat); err != nil {
			return err
		}
	}
	failpoint.Hit("file_sync.directory_finished")
	return nil
}
