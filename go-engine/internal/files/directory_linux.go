// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// directory is one that is open on both sides. It stays open until everything in it is done; then its own metadata
// is set.
type directory struct {
	parent      *directory
	path        string // relative to the root, whose path is empty
	source      int
	destination int // -1 in a dry run that would create it
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
		fsys.Close(d.source)
		fsys.Close(d.destination)
	}
}

// openRootDirectory makes the directory of the two roots, whose descriptors belong to the job.
func (w *worker) openRootDirectory() (*directory, error) {
	job := w.job
	d := &directory{source: job.roots.source, destination: job.roots.destination, fresh: job.roots.created}
	if err := fsys.Fstat(d.source, &d.sourceStat); err != nil {
		return nil, unable("read the source", err)
	}
	if d.fresh {
		w.reportMadeDirectory(d, nil, "")
		if d.destination >= 0 {
			inherited, _, err := fsys.Opened(d.destination).Attributes()
			_, d.inheritsACL = inherited[fsys.DefaultACL]
			return d, unable("read the extended attributes", err)
		}
		return d, nil
	}
	if err := fsys.Fstat(d.destination, &d.existing); err != nil {
		return nil, unable("read the destination", err)
	}
	return d, w.compareDirectory(d, nil)
}

// openChild opens a directory of the source, and opens or makes that of the destination.
func (w *worker) openChild(parent *directory, entry *item) (*directory, error) {
	d := &directory{parent: parent, path: parent.join(entry.name), source: -1, destination: -1}
	err := w.openSides(d, parent, entry)
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (w *worker) openSides(d, parent *directory, entry *item) (err error) {
	if d.source, err = fsys.OpenDirectory(parent.source, entry.name); err != nil {
		return unableToRead("open the source directory", err)
	}
	if err := fsys.Fstat(d.source, &d.sourceStat); err != nil {
		return unable("read the source", err)
	}
	if w.job.isRoot(&d.sourceStat) {
		return &entryError{code: wire.PathsOverlap, message: "the directory is one of the two roots"}
	}
	if entry.existing == unix.S_IFDIR {
		return w.openExisting(d, parent, entry.name)
	}
	return w.makeDirectory(d, parent, entry)
}

// isRoot tells whether a directory below a root is a root, as a bind mount can make it.
func (j *syncJob) isRoot(stat *fsys.Stat) bool {
	return fsys.SameInode(stat, &j.roots.sourceStat) || fsys.SameInode(stat, &j.roots.destinationStat)
}

func (w *worker) openExisting(d, parent *directory, name string) error {
	if err := fsys.Lstat(parent.destination, name, &d.existing); err != nil {
		return unable("read the destination", err)
	}
	if !fsys.IsDirectory(&d.existing) {
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
	if d.destination, err = fsys.OpenDirectory(parent.destination, name); err != nil {
		return unable("open the destination's directory", err)
	}
	var opened fsys.Stat
	if err := fsys.Fstat(d.destination, &opened); err != nil {
		return unable("read the destination", err)
	}
	if !fsys.SameInode(&opened, &d.existing) {
		return replaced("destination")
	}
	if w.job.isRoot(&opened) {
		return &entryError{code: wire.PathsOverlap, message: "the directory is one of the two roots"}
	}
	return w.compareDirectory(d, current)
}

// mustLift tells whether this user, the owner, has closed the directory to himself.
func (p *policy) mustLift(stat *fsys.Stat) bool {
	return !p.root && stat.Uid == p.user && stat.Mode&0o700 != 0o700
}

// liftMode gives the attributes of before, since a change of the mode changes the access control list.
func liftMode(parent int, name string, stat *fsys.Stat) (fsys.Attributes, error) {
	fd, err := fsys.OpenEntry(parent, name)
	if err != nil {
		return nil, err
	}
	defer fsys.Close(fd)
	var held fsys.Stat
	if err := fsys.Fstat(fd, &held); err != nil {
		return nil, err
	}
	if !fsys.SameInode(&held, stat) {
		return nil, replaced("destination")
	}
	current, _, err := fsys.Held(fd).Attributes()
	if err != nil {
		return nil, err
	}
	return current, fsys.Held(fd).Chmod(fsys.Permissions(stat) | 0o700)
}

// compareDirectory notes what differs before anything happens in the directory. current are the attributes of the
// destination if they were read already.
func (w *worker) compareDirectory(d *directory, current fsys.Attributes) error {
	policy := w.job.policy
	d.difference = policy.compare(&d.sourceStat, &d.existing)
	handle := fsys.Opened(d.destination)
	var err error
	if current == nil {
		if current, _, err = handle.Attributes(); err != nil {
			return unable("read the extended attributes", err)
		}
	}
	_, d.inheritsACL = current[fsys.DefaultACL]
	if !policy.xattrs {
		return nil
	}
	wanted, _, err := fsys.Opened(d.source).Attributes()
	if err != nil {
		return unable("read the extended attributes", err)
	}
	policy.compareAttributes(&d.difference, wanted, current, handle.Supports, display(d.path))
	return nil
}

// makeDirectory makes the destination's directory, closed to others until it is complete.
func (w *worker) makeDirectory(d, parent *directory, entry *item) error {
	d.fresh = true
	d.inheritsACL = parent.inheritsACL
	var existing *fsys.Stat
	var oldTarget string
	if entry.existing != absent {
		existing = &fsys.Stat{}
		if err := fsys.Lstat(parent.destination, entry.name, existing); err != nil {
			return unable("read the destination", err)
		}
		if fsys.IsSymlink(existing) {
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
	if existing != nil {
		if err := fsys.Remove(parent.destination, name); err != nil {
			return unable("make the directory", err)
		}
	}
	if err := fsys.MakeDirectory(parent.destination, name, 0o700); err != nil {
		return unable("make the directory", err)
	}
	failpoint.Hit("file_sync.directory_created")
	if d.destination, err = fsys.OpenDirectory(parent.destination, name); err != nil {
		return unable("make the directory", err)
	}
	return nil
}

func (w *worker) reportMadeDirectory(d *directory, existing *fsys.Stat, oldTarget string) {
	w.counters.DirectoriesCreated++
	policy := w.job.policy
	if w.job.DryRun {
		policy.noteOwner(&d.sourceStat)
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
			_ = fsys.Opened(d.destination).Chmod(fsys.Permissions(&d.existing))
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
	policy, handle := w.job.policy, fsys.Opened(d.destination)
	var created fsys.Stat
	if err := fsys.Fstat(d.destination, &created); err != nil {
		return unable("set the metadata", err)
	}
	needed := difference{}
	needed.owner, needed.group = policy.newOwner(&d.sourceStat, created.Uid, created.Gid)
	if needed.owner >= 0 || needed.group >= 0 {
		if err := handle.Chown(needed.owner, needed.group); err != nil {
			return unable("set the owner", err)
		}
	}
	mode := policy.mode(&d.sourceStat, nil)
	if err := handle.Chmod(mode); err != nil {
		return unable("set the mode", err)
	}
	if err := w.copyAttributes(handle, fsys.Opened(d.source), d.inheritsACL, mode, d, ""); err != nil {
		return err
	}
	if policy.timestamps {
		if err := handle.SetModified(d.sourceStat.Mtim); err != nil {
			return unable("set the times", err)
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
	if d.difference.empty() {
		return nil
	}
	w.counters.MetadataUpdated++
	job.report("metadata", &d.sourceStat, d.path, &d.difference.before, &d.difference.after)
	return nil
}

func (w *worker) settleExisting(d *directory) error {
	policy, handle := w.job.policy, fsys.Opened(d.destination)
	if d.lifted {
		if err := handle.Chmod(fsys.Permissions(&d.existing)); err != nil {
			return unable("set the mode", err)
		}
	}
	if !d.difference.empty() {
		if err := policy.apply(handle, &d.difference, &d.sourceStat, &d.existing); err != nil {
			return err
		}
	}
	if policy.timestamps && !d.difference.modified && d.written.Load() {
		if err := handle.SetModified(d.sourceStat.Mtim); err != nil {
			return unable("set the times", err)
		}
	}
	failpoint.Hit("file_sync.directory_finished")
	return nil
}
