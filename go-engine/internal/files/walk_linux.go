// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"math/rand/v2"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// absent is the type of an entry that the destination lacks.
const absent = 0

// item is an entry of the source that is to be made equal, with the types it has on both sides.
type item struct {
	directory *directory
	name      string
	kind      uint32
	existing  uint32
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
	if err != nil {
		return wire.Fail(wire.IOError, "%w", err)
	}
	root.pending.Store(1)
	first.scan(root)
	first.release(root, 1)
	j.queue.run(func() func([]item) { return j.newWorker().work })
	return j.state()
}

// work handles items of one directory.
func (w *worker) work(part []item) {
	defer w.guard()
	d := part[0].directory
	for index := range part {
		if w.job.stopped.Load() {
			break
		}
		entry := &part[index]
		if entry.kind == unix.S_IFDIR {
			w.enter(d, entry)
		} else {
			if err := w.synchronize(d, entry); err != nil {
				w.job.entryFailed(d.join(entry.name), err)
			}
		}
		w.job.Meter.ItemsDone.Add(1)
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
	w.job.Meter.SetCurrent(display(d.path))
	w.scan(d)
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
	entries, err := w.lister.List(d.source)
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
	directories, others := w.merge(d, entries, existing)
	count := len(directories) + len(others)
	d.pending.Add(int64(count))
	w.job.Meter.ItemsTotal.Add(int64(count))
	w.job.queue.add(batch[item]{items: directories, apart: true}, batch[item]{items: others})
}

func byName(one, other fsys.Entry) int { return strings.Compare(one.Name, other.Name) }

// merge goes through both sorted listings at once; existing may be empty, entries then need no order.
func (w *worker) merge(d *directory, entries, existing []fsys.Entry) (directories, others []item) {
	for _, entry := range entries {
		for len(existing) > 0 && existing[0].Name < entry.Name {
			w.extra(d, existing[0])
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
		case made.kind == unix.S_IFDIR:
			directories = append(directories, made)
		default:
			if others == nil {
				others = make([]item, 0, len(entries))
			}
			others = append(others, made)
		}
	}
	for _, found := range existing {
		w.extra(d, found)
	}
	return directories, others
}

// item makes the item of an entry, unless it is left out. found has no name where the destination lacks it.
func (w *worker) item(d *directory, entry, found fsys.Entry) (item, bool) {
	var err error
	if entry.Type == 0 {
		entry.Type, err = typeOf(d.source, entry.Name)
	}
	if found.Name != "" && found.Type == 0 && err == nil {
		found.Type, err = typeOf(d.destination, found.Name)
	}
	if err != nil {
		w.job.entryFailed(d.join(entry.Name), unableToRead("read the entry", err))
		return item{}, false
	}
	filters := w.job.parameters.filters
	if filters != nil && filters.Hides(d.join(entry.Name), entry.Type == unix.S_IFDIR) {
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
func typeOf(parent int, name string) (uint32, error) {
	var stat fsys.Stat
	err := fsys.Lstat(parent, name, &stat)
	return fsys.Type(&stat), err
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
	if isTemporary(found.Name) && found.Type != unix.S_IFDIR {
		job.entryFailed(d.join(found.Name), w.removeTemporary(d, found.Name))
		return
	}
	w.noteExtra(d, found)
}

func (w *worker) noteExtra(d *directory, found fsys.Entry) {
	job := w.job
	if !job.parameters.delete || job.parameters.filters.Protects(d.join(found.Name), found.Type == unix.S_IFDIR) {
		return
	}
	job.mutex.Lock()
	job.extras = append(job.extras, extra{member: member{d.path, found.Name}})
	job.mutex.Unlock()
}

func (w *worker) removeTemporary(d *directory, name string) error {
	if !w.job.DryRun {
		d.written.Store(true)
		if err := fsys.Remove(d.destination, name); err != nil {
			return unable("remove the temporary file", err)
		}
		failpoint.Hit("file_sync.temporary_removed")
	}
	w.counters.TemporariesRemoved++
	w.job.Change("delete", "temporary", display(d.join(name)), nil, nil)
	return nil
}
