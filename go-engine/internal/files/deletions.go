// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// extra is an entry that only the destination has. Of one that is in the way of another only the contents are
// deleted; it is replaced afterwards.
type extra struct {
	member
	inTheWay bool
}

// doomed is an entry that is to be deleted after what is in it. One that stays holds something protected.
type doomed struct {
	name     string
	kind     fsys.Type
	stat     fsys.Stat
	stays    bool
	children []*doomed
}

// deleteExtras deletes what the source lacks, if all else succeeded: who could not read all of the source must not
// conclude that something is gone from it.
func (j *syncJob) deleteExtras() (deleted bool, err error) {
	w := j.newWorker()
	found := make([]*doomed, len(j.extras))
	count := int64(0)
	for index, extra := range j.extras {
		if j.stopped.Load() {
			return false, nil
		}
		node, err := w.collectExtra(extra)
		if err != nil {
			j.entryFailed(extra.path(), err)
			continue
		}
		found[index] = node
		count += node.count()
	}
	if j.Meter.ErrorCount.Load() > 0 {
		return false, nil
	}
	if limit := j.parameters.maxDelete; limit >= 0 && count > limit {
		return false, wire.Fail(wire.MaxDeleteExceeded, "%d entries would be deleted; max_delete allows %d", count, limit)
	}
	for index, extra := range j.extras {
		if found[index] == nil {
			continue
		}
		parent, err := j.reopenDestination(extra.directory)
		if err != nil {
			j.entryFailed(extra.path(), err)
			continue
		}
		w.delete(parent, extra.directory, found[index])
		parent.Close()
	}
	return true, nil
}

func (d *doomed) count() int64 {
	if d == nil {
		return 0
	}
	count := int64(0)
	if !d.stays {
		count = 1
	}
	for _, child := range d.children {
		count += child.count()
	}
	return count
}

// collectExtra finds all that is to be deleted of an extra entry; nil for nothing.
func (w *worker) collectExtra(extra extra) (*doomed, error) {
	parent, err := w.job.reopenDestination(extra.directory)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if !extra.inTheWay {
		return w.collect(parent, extra.directory, extra.name)
	}
	node := &doomed{name: extra.name, kind: fsys.TypeDirectory}
	if err := w.collectContents(parent, extra.path(), node); err != nil {
		return nil, err
	}
	if node.stays {
		return nil, errKept
	}
	node.stays = true
	return node, nil
}

// collect finds all that is to be deleted at a name; nil for nothing.
func (w *worker) collect(parent fsys.Directory, directory, name string) (*doomed, error) {
	node := &doomed{name: name}
	if err := parent.Lstat(name, &node.stat); err != nil {
		if fsys.IsNotExist(err) {
			return nil, nil
		}
		return nil, unable("read the destination", err)
	}
	node.kind = node.stat.Type()
	path := join(directory, name)
	if w.job.parameters.filters.Protects(path, node.kind == fsys.TypeDirectory) {
		node.stays = true
		return node, nil
	}
	if node.kind != fsys.TypeDirectory {
		return node, nil
	}
	return node, w.collectContents(parent, path, node)
}

func (w *worker) collectContents(parent fsys.Directory, path string, node *doomed) error {
	if w.job.stopped.Load() {
		return errStopped
	}
	opened, err := w.job.openForWriting(parent, node.name, path)
	if err != nil {
		return unable("read the destination", err)
	}
	defer opened.Close()
	// What is mounted there belongs to somebody else. Emptied, it could not be removed either.
	if mounted, err := opened.IsMountedIn(parent); err != nil {
		return unable("read the destination", err)
	} else if mounted {
		w.job.entryFailed(path, errMountPoint)
		node.stays = true
		return nil
	}
	entries, err := w.lister.List(opened)
	if err != nil {
		return unable("read the destination", err)
	}
	for _, entry := range entries {
		child, err := w.collect(opened, path, entry.Name)
		if err != nil {
			return err
		}
		if child != nil {
			node.children = append(node.children, child)
			node.stays = node.stays || child.stays
		}
	}
	return nil
}

// delete deletes an entry and what was found in it, and nothing else: a directory in which something appeared
// since stays, and counts as failed.
func (w *worker) delete(parent fsys.Directory, directory string, node *doomed) {
	path := join(directory, node.name)
	if w.job.stopped.Load() {
		return
	}
	if len(node.children) > 0 {
		if err := w.deleteContents(parent, path, node); err != nil && !fsys.IsNotExist(err) {
			w.job.entryFailed(path, unable("delete the entry", err))
			return
		}
	}
	if node.stays {
		return
	}
	if !w.job.DryRun {
		remove := parent.Remove
		if node.kind == fsys.TypeDirectory {
			remove = parent.RemoveDirectory
		}
		err := remove(node.name)
		if fsys.IsNotExist(err) {
			return // somebody else was faster: it is not our change
		}
		if err != nil {
			w.job.entryFailed(path, unable("delete the entry", err))
			return
		}
		failpoint.Hit("file_sync.deleted")
	}
	w.counters.Deleted++
	var before wire.Attributes
	if node.kind == fsys.TypeRegular {
		before.Integer("size", node.stat.Size())
	}
	w.job.report("delete", &node.stat, path, &before, nil)
}

func (w *worker) deleteContents(parent fsys.Directory, path string, node *doomed) error {
	opened, err := w.job.openForWriting(parent, node.name, path)
	if err != nil {
		return err
	}
	defer opened.Close()
	if node.stays && !w.job.DryRun {
		var stat fsys.Stat
		if err := opened.Stat(&stat); err != nil {
			return err
		}
		w.job.remember(path, &stat, false)
	}
	for _, child := range node.children {
		w.delete(opened, path, child)
	}
	return nil
}
