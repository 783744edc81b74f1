// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// member is one name of an entry that has several.
type member struct{ directory, name string }

func (m member) path() string { return join(m.directory, m.name) }

// linkGroup are the names of one entry of the source, which is a file, a symbolic link or a special. The leader is the one whose inode the others share.
type linkGroup struct {
	file    fsys.Identity
	members []member
	leader  *member
	inode   fsys.Identity // the leader's at the destination; none where only a real run would know
}

// lateEntry waits until the directory in its way is empty.
type lateEntry struct {
	member
	inTheWay fsys.Stat
}

func (j *syncJob) deferLink(at *place, source *fsys.Stat) {
	j.Meter.ItemsDone.Add(-1) // it is done when its link is
	j.mutex.Lock()
	defer j.mutex.Unlock()
	file := source.Identity()
	group := j.linked[file]
	if group == nil {
		group = &linkGroup{file: file}
		j.linked[file] = group
	}
	group.members = append(group.members, member{at.directory.path, at.name})
	if at.present && !at.stat.IsDirectory() && at.stat.Links() > 1 {
		j.claims.add(at.stat.Identity(), group)
	}
}

func (j *syncJob) deferEntry(at *place) {
	j.Meter.ItemsDone.Add(-1)
	j.mutex.Lock()
	defer j.mutex.Unlock()
	entry := member{at.directory.path, at.name}
	j.late = append(j.late, lateEntry{member: entry, inTheWay: at.stat})
	j.extras = append(j.extras, extra{member: entry, inTheWay: true})
}

// linkGroups makes the names of each file share one inode.
func (j *syncJob) linkGroups() {
	groups := make([]*linkGroup, 0, len(j.linked))
	for _, group := range j.linked {
		groups = append(groups, group)
	}
	queue := newQueue[*linkGroup](j.parameters.workers())
	queue.add(batch[*linkGroup]{items: groups})
	queue.run(func() func([]*linkGroup) {
		w := j.newWorker()
		return func(part []*linkGroup) {
			defer w.guard()
			defer w.closeOpened(0)
			defer w.releaseFetcher()
			for _, group := range part {
				w.link(group)
			}
		}
	})
}

func (w *worker) link(group *linkGroup) {
	// An order that does not depend on the walk's.
	slices.SortFunc(group.members, func(one, other member) int { return strings.Compare(one.path(), other.path()) })
	first := w.chooseLeader(group)
	w.makeLinked(group, group.members[first])
	for index, member := range group.members {
		if index != first {
			w.makeLinked(group, member)
		}
	}
}

// chooseLeader gives the first member whose content is up to date, since the others are linked to it for nothing;
// else the first. Who cannot be compared is no leader; if it cannot be made either, that is told then.
func (w *worker) chooseLeader(group *linkGroup) int {
	for index, member := range group.members {
		var source fsys.Stat
		at, err := w.revisit(member, &source, nil)
		if w.job.stopped.Load() {
			break
		}
		if err != nil || group.file != source.Identity() {
			continue
		}
		at.group = group
		if same, err := w.isUpToDate(at, &source); err == nil && same {
			return index
		}
	}
	return 0
}

// isUpToDate tells whether what has the name at the destination is what the source is, whatever its metadata.
func (w *worker) isUpToDate(at *place, source *fsys.Stat) (bool, error) {
	switch {
	case !at.present || at.stat.Type() != source.Type() || w.job.isAnothers(at):
		return false, nil
	case source.IsRegular():
		if w.isNewer(at, source) {
			return false, nil
		}
		return w.hasContent(at, source)
	case source.IsSymlink():
		target, err := at.directory.source.ReadLink(&w.lister, at.name)
		return at.target == target, err
	}
	return isSameSpecial(&at.stat, source), nil
}

// revisit looks at an entry of a directory that the walk has closed. inTheWay is the directory that had its name
// before its deletion, if there was one.
func (w *worker) revisit(m member, source, inTheWay *fsys.Stat) (*place, error) {
	w.closeOpened(fewOpened)
	d, err := w.reopen(m.directory)
	if err != nil {
		return nil, err
	}
	if err := d.source.Lstat(m.name, source); err != nil {
		return nil, unableToRead("read the source", err)
	}
	at := &place{directory: d, name: m.name}
	if inTheWay != nil {
		at.present, at.stat = true, *inTheWay
		return at, nil
	}
	return at, w.lookAt(at)
}

// makeLinked makes one name of a group. The first that succeeds leads.
func (w *worker) makeLinked(group *linkGroup, m member) {
	if w.job.stopped.Load() {
		return
	}
	w.job.entryFailed(m.path(), w.tryLinked(group, m, nil))
	w.job.Meter.ItemsDone.Add(1)
}

func (w *worker) tryLinked(group *linkGroup, m member, inTheWay *fsys.Stat) error {
	var source fsys.Stat
	at, err := w.revisit(m, &source, inTheWay)
	if err != nil {
		return err
	}
	if group.file != source.Identity() {
		return replaced("source")
	}
	at.group = group
	// Such a name is no part of the group: the others are not linked to it.
	if source.IsRegular() && w.keepsNewer(at, &source) {
		return nil
	}
	if group.leader != nil {
		return w.linkTo(group, at, &source)
	}
	there, err := w.make(at, &source)
	if err != nil {
		return err
	}
	if there == (fsys.Identity{}) && !w.job.DryRun {
		var made fsys.Stat
		err := at.directory.destination.Lstat(at.name, &made)
		if fsys.IsNotExist(err) && !source.IsRegular() {
			return nil // it was left out
		}
		if err != nil {
			return unable("read the destination", err)
		}
		there = made.Identity()
	}
	group.leader, group.inode = &m, there
	return nil
}

// linkTo makes a name a hard link to the leader.
func (w *worker) linkTo(group *linkGroup, at *place, source *fsys.Stat) error {
	if source.IsRegular() {
		w.job.Meter.BytesPassed.Add(source.Size())
	}
	if at.present && group.inode == at.stat.Identity() {
		if source.IsRegular() {
			w.counters.FilesUnchanged++
		}
		return nil
	}
	target := ""
	if source.IsSymlink() {
		var err error
		if target, err = at.directory.source.ReadLink(&w.lister, at.name); err != nil {
			return unableToRead("read the source", err)
		}
	}
	if !w.job.DryRun {
		if err := w.makeLink(group, at); err != nil {
			return unable("make the hard link", err)
		}
	}
	w.counters.HardLinksCreated++
	w.reportMade(at, source, target)
	return nil
}

func (w *worker) makeLink(group *linkGroup, at *place) error {
	from, err := w.reopen(group.leader.directory)
	if err != nil {
		return err
	}
	to, temporary := at.directory.destination, w.temporaryName()
	if err := from.destination.Link(group.leader.name, to, temporary); err != nil {
		return err
	}
	failpoint.Hit("file_sync.temporary_created")
	var made fsys.Stat
	err = to.Lstat(temporary, &made)
	if err == nil && group.inode != made.Identity() {
		err = replaced("destination")
	}
	if err == nil {
		err = w.put(at, temporary)
	}
	if err != nil {
		at.discard(temporary)
		return err
	}
	failpoint.Hit("file_sync.link_made")
	return nil
}

// makeLateEntries makes what had a directory in its way, which is empty by now.
func (j *syncJob) makeLateEntries() {
	slices.SortFunc(j.late, func(one, other lateEntry) int { return strings.Compare(one.path(), other.path()) })
	w := j.newWorker()
	defer w.closeOpened(0)
	defer w.releaseFetcher()
	for index := range j.late {
		if j.stopped.Load() {
			return
		}
		entry := &j.late[index]
		j.entryFailed(entry.path(), w.makeLate(entry))
		j.Meter.ItemsDone.Add(1)
	}
}

func (w *worker) makeLate(entry *lateEntry) error {
	var source fsys.Stat
	at, err := w.revisit(entry.member, &source, &entry.inTheWay)
	if err != nil {
		return err
	}
	if source.IsDirectory() {
		return replaced("source")
	}
	if !w.job.links(&source) {
		_, err := w.make(at, &source)
		return err
	}
	file := source.Identity()
	group := w.job.linked[file]
	if group == nil {
		group = &linkGroup{file: file}
		w.job.linked[file] = group
	}
	return w.tryLinked(group, entry.member, &entry.inTheWay)
}

// links tells whether an entry has several names, which are linked after the walk.
func (j *syncJob) links(source *fsys.Stat) bool {
	if source.Links() < 2 || !j.parameters.preserve.hardLinks {
		return false
	}
	return source.IsRegular() || fsys.LinksAll && !source.IsDirectory() && !j.skips(source)
}

// guard ends the job with an error where the process would end without one.
func (w *worker) guard() {
	if problem := recover(); problem != nil {
		fmt.Fprintf(os.Stderr, "panic: %v\n%s", problem, debug.Stack())
		w.job.stopBy(wire.Fail(wire.Internal, "internal error: %v", problem))
	}
}
