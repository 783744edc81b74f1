// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"math/rand/v2"
	"slices"
	"strings"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// absent is the type of an entry that the destination lacks.
const absent = 0

// item is an entry of the source that is to be made equal, with the types it has on both sides.
type item struct {
	directory *directory
	name      string
	kind      fsys.Type
	existing  fsys.Type
}

// worker does the work of one goroutine, with buffers of its own.
type worker struct {
	job      *syncJob
	counters counters
	lister   fsys.Lister
	buffer   []byte
	second   []byte
	made     fsys.Stat // what creating gave, of the file in hand
	now      fsys.Stat // what the source became while it was copied
	random   *rand.PCG
	opened   map[string]*directory // for the phases after the walk
	fetcher  *origin.Fetcher       // of a source on another host, once it was needed
	need     need                  // in a dry run
}

func (j *syncJob) newWorker() *worker {
	w := &worker{job: j, random: rand.NewPCG(rand.Uint64(), rand.Uint64())}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.workers = append(j.workers, w)
	return w
}

// walk makes everything equal but what later phases do.
func (j *syncJob) walk() error {
	first := j.newWorker()
	root, err := first.openRootDirectory()
	if isLost(err) {
		return j.explain(err)
	}
	if err != nil {
		return wire.Fail(wire.IOError, "%w", err)
	}
	root.pending.Store(1)
	first.scan(root)
	first.release(root, 1)
	stop := j.adjust()
	j.queue.run(func() func([]item) { return j.newWorker().work })
	stop()
	for _, w := range j.workers {
		w.releaseFetcher()
	}
	return j.state()
}

// work handles items of one directory.
func (w *worker) work(part []item) {
	defer w.guard()
	d := part[0].directory
	w.job.Meter.SetCurrent(display(d.join(part[0].name)))
	far := d.source.Tree() != nil
	if far {
		w.askAhead(d, part)
	}
	for index := range part {
		if w.job.stopped.Load() {
			break
		}
		entry := &part[index]
		if entry.kind == fsys.TypeDirectory {
			w.enter(d, entry)
		} else {
			if err := w.synchronize(d, entry); err != nil {
				w.job.entryFailed(d.join(entry.name), err)
			}
		}
		w.job.Meter.ItemsDone.Add(1)
		if !far && w.job.queue.share(part[index+1:]) {
			part = part[:index+1]
			break
		}
	}
	w.release(d, len(part))
}

// enter opens a directory and hands out what is in it.
func (w *worker) enter(parent *directory, entry *item) {
	w.counters.DirectoriesTotal++
	d, err := w.openChild(parent, entry)
	if err != nil {
		w.job.entryFailed(parent.join(entry.name), err)
		return
	}
	parent.pending.Add(1)
	d.pending.Store(1)
	if w.job.isElsewhere(&d.sourceStat) {
		w.counters.Skipped++
		w.job.Warning("mount_point_skipped", "what is in another file system was not copied", display(d.path))
	} else {
		w.scan(d)
	}
	w.release(d, 1)
}

// release counts off things in a directory that are done. Directories in which all is done are finished.
func (w *worker) release(d *directory, count int) {
	for d != nil && d.pending.Add(-int64(count)) == 0 {
		w.finish(d)
		d, count = d.parent, 1
	}
}

// scan lists a directory on both sides and puts the work in it on the queue.
func (w *worker) scan(d *directory) {
	entries, err := d.source.List(&w.lister)
	if err != nil {
		w.job.entryFailed(d.path, unable("read the source", err))
		return
	}
	var existing []fsys.Entry
	if !d.fresh {
		if existing, err = w.lister.List(d.destination); err != nil {
			w.job.entryFailed(d.path, unable("read the destination", err))
			return
		}
	}
	if len(existing) > 0 {
		slices.SortFunc(entries, byName)
		slices.SortFunc(existing, byName)
	}
	directories, others, left := w.merge(d, entries, existing)
	left = w.notePartials(d, others, left)
	for _, found := range w.matchSpellings(d, &directories, &others, existing, left) {
		w.extra(d, found)
	}
	count := len(directories) + len(others)
	d.pending.Add(int64(count))
	w.job.Meter.ItemsTotal.Add(int64(count))
	d.prefetch(directories)
	w.job.queue.add(batch[item]{items: directories, apart: true}, batch[item]{items: others})
}

func byName(one, other fsys.Entry) int { return strings.Compare(one.Name, other.Name) }

// merge goes through both sorted listings at once; existing may be empty, entries then need no order. left are the
// entries of the destination whose names the source lacks.
func (w *worker) merge(d *directory, entries, existing []fsys.Entry) (directories, others []item, left []fsys.Entry) {
	for _, entry := range entries {
		for len(existing) > 0 && existing[0].Name < entry.Name {
			left = append(left, existing[0])
			existing = existing[1:]
		}
		found := fsys.Entry{Type: absent}
		if len(existing) > 0 && existing[0].Name == entry.Name {
			found = existing[0]
			existing = existing[1:]
		}
		made, ok := w.item(d, entry, found)
		switch {
		case !ok:
		case made.kind == fsys.TypeDirectory:
			directories = append(directories, made)
		default:
			if others == nil {
				others = make([]item, 0, len(entries))
			}
			others = append(others, made)
		}
	}
	return directories, others, append(left, existing...)
}

// item makes the item of an entry, unless it is left out. found has no name where the destination lacks it.
func (w *worker) item(d *directory, entry, found fsys.Entry) (item, bool) {
	var err error
	if entry.Type == 0 {
		var stat fsys.Stat
		err = d.source.Lstat(entry.Name, &stat)
		entry.Type = stat.Type()
	}
	if found.Name != "" && found.Type == 0 && err == nil {
		found.Type, err = typeOf(d.destination, found.Name)
	}
	if err != nil {
		w.job.entryFailed(d.join(entry.Name), unableToRead("read the entry", err))
		return item{}, false
	}
	filters := w.job.parameters.filters
	if filters != nil && filters.Hides(d.join(entry.Name), entry.Type == fsys.TypeDirectory) {
		if found.Name != "" {
			w.noteExtra(d, found)
		}
		return item{}, false
	}
	if isTemporary(entry.Name) {
		w.counters.Skipped++
		w.job.Warning("temporary_skipped", "the name is one of this collection's temporary files", display(d.join(entry.Name)))
		return item{}, false
	}
	return item{directory: d, name: entry.Name, kind: entry.Type, existing: found.Type}, true
}

// typeOf asks for the type of an entry where the listing did not tell.
func typeOf(parent fsys.Directory, name string) (fsys.Type, error) {
	var stat fsys.Stat
	err := parent.Lstat(name, &stat)
	return stat.Type(), err
}

// extra deals with an entry that only the destination has: what a killed run left is removed, the rest is noted.
func (w *worker) extra(d *directory, found fsys.Entry) {
	job := w.job
	if found.Type == 0 {
		var err error
		if found.Type, err = typeOf(d.destination, found.Name); err != nil {
			job.entryFailed(d.join(found.Name), unable("read the destination", err))
			return
		}
	}
	if isTemporary(found.Name) && found.Type != fsys.TypeDirectory {
		job.entryFailed(d.join(found.Name), w.removeTemporary(d, found.Name))
		return
	}
	w.noteExtra(d, found)
}

func (w *worker) noteExtra(d *directory, found fsys.Entry) {
	job := w.job
	if !job.parameters.delete || job.parameters.filters.Protects(d.join(found.Name), found.Type == fsys.TypeDirectory) {
		return
	}
	job.mutex.Lock()
	job.extras = append(job.extras, extra{member: member{d.path, found.Name}})
	job.mutex.Unlock()
}

func (w *worker) removeTemporary(d *directory, name string) error {
	if !w.job.DryRun {
		d.written.Store(true)
		if err := d.destination.Remove(name); err != nil {
			return unable("remove the temporary file", err)
		}
		failpoint.Hit("file_sync.temporary_removed")
	}
	w.counters.TemporariesRemoved++
	w.job.Change("delete", "temporary", display(d.join(name)), nil, nil)
	return nil
}
