// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"hash"
	"io"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/manifest"
)

// checksumItem is an entry of a directory, which it keeps open.
type checksumItem struct {
	directory *measured
	name      string
	kind      fsys.Type
}

// checksumWorker does the work of one goroutine, with a buffer of its own.
type checksumWorker struct {
	job      *checksumJob
	counters checksumCounters
	records  []manifest.Record // of a job that creates
	lister   fsys.Lister
	buffer   []byte
}

func (j *checksumJob) newWorker() *checksumWorker {
	w := &checksumWorker{job: j}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.workers = append(j.workers, w)
	return w
}

func (w *checksumWorker) work(part []checksumItem) {
	meter := w.job.Meter
	for _, item := range part {
		if w.job.ctx.Err() == nil {
			meter.SetCurrent(display(join(item.directory.path, item.name)))
			if item.kind == fsys.TypeDirectory {
				w.enter(item)
			} else {
				w.file(item)
			}
			meter.ItemsDone.Add(1)
		}
		item.directory.release()
	}
}

func (w *checksumWorker) enter(item checksumItem) {
	w.counters.DirectoriesTotal++
	path := join(item.directory.path, item.name)
	opened, err := item.directory.held.OpenDirectory(item.name)
	if err != nil {
		w.job.directoryFailed(path, unableToRead("open the directory", err))
		return
	}
	directory := &measured{path: path, held: opened}
	directory.pending.Store(1)
	w.scan(directory)
	directory.release()
}

// scan lists a directory and puts the work in it on the queue.
func (w *checksumWorker) scan(directory *measured) {
	entries, err := w.lister.List(directory.held)
	if err != nil {
		w.job.directoryFailed(directory.path, unable("read the directory", err))
		return
	}
	var directories, files []checksumItem
	for _, entry := range entries {
		item, ok := w.item(directory, entry)
		switch {
		case !ok:
		case item.kind == fsys.TypeDirectory:
			directories = append(directories, item)
		default:
			files = append(files, item)
		}
	}
	directory.pending.Add(int64(len(directories) + len(files)))
	w.job.queue.add(batch[checksumItem]{items: directories, apart: true}, batch[checksumItem]{items: files})
}

// item makes the item of an entry that is worth a look.
func (w *checksumWorker) item(directory *measured, entry fsys.Entry) (checksumItem, bool) {
	job := w.job
	path := join(directory.path, entry.Name)
	if entry.Type == 0 {
		var err error
		if entry.Type, err = typeOf(directory.held, entry.Name); err != nil {
			job.failed(path, unableToRead("read the entry", err))
			return checksumItem{}, false
		}
	}
	isDirectory := entry.Type == fsys.TypeDirectory
	if job.parameters.filters.Hides(path, isDirectory) {
		return checksumItem{}, false
	}
	job.Meter.ItemsTotal.Add(1)
	switch {
	case isDirectory:
		return checksumItem{directory, entry.Name, entry.Type}, true
	case entry.Type == fsys.TypeRegular && !w.isLeftOut(directory, entry.Name):
		w.counters.FilesTotal++
		return checksumItem{directory, entry.Name, entry.Type}, true
	case entry.Type == fsys.TypeSymlink:
		w.counters.SymlinksTotal++
	case entry.Type != fsys.TypeRegular:
		w.counters.SpecialsTotal++
	}
	w.counters.Skipped++
	job.Meter.ItemsDone.Add(1)
	if job.comparison != nil {
		job.comparison.skipped(path, entry.Type)
	}
	return checksumItem{}, false
}

// isLeftOut tells whether a file is ours: the manifest, or what a killed run left.
func (w *checksumWorker) isLeftOut(directory *measured, name string) bool {
	return isTemporary(name) || w.job.place.is(directory.held, name)
}

// file computes the checksum of a file.
func (w *checksumWorker) file(item checksumItem) {
	job := w.job
	path := join(item.directory.path, item.name)
	job.Meter.Begin()
	defer job.Meter.End()
	place := -1
	if job.comparison != nil {
		if place = job.comparison.find(path); place < 0 {
			return
		}
	}
	algorithms := *job.algorithms.Load()
	sums, err := w.checksums(item, algorithms)
	if job.comparison == nil {
		if err != nil {
			job.failed(path, err)
		} else {
			w.records = append(w.records, manifest.NewRecord(path, sums[0]))
		}
		return
	}
	if err != errVanished {
		job.failed(path, err)
	}
	job.comparison.compare(job, place, algorithms, sums, err)
}

// checksums reads a file, once more if it changed meanwhile.
func (w *checksumWorker) checksums(item checksumItem, algorithms []*digest.Algorithm) ([][]byte, error) {
	path := join(item.directory.path, item.name)
	file, err := item.directory.held.OpenFile(item.name)
	if err != nil {
		return nil, unableToRead("read the file", err)
	}
	defer file.Close()
	var before, after fsys.Stat
	if err := file.Stat(&before); err != nil {
		return nil, unable("read the file", err)
	}
	if !before.IsRegular() {
		return nil, replaced("source")
	}
	if known := w.job.cache.Find(algorithms[0], file, &before); known != nil {
		w.counters.ChecksumsCached++
		w.job.Meter.BytesPassed.Add(before.Size())
		return [][]byte{known}, nil
	}
	w.job.Meter.BytesTotal.Add(before.Size())
	for try := 0; ; try++ {
		reading := w.job.cache.Begin(algorithms[0], file, &before)
		sums, length, err := w.read(path, file, algorithms)
		if err == nil {
			reading.Keep(file, sums[0])
			err = file.Stat(&after)
		}
		if err != nil {
			return nil, unable("read the file", err)
		}
		if !unchanged(&before, &after) && try == 0 {
			w.job.Meter.RetryCount.Add(1)
			before = after
			continue
		}
		if !unchanged(&before, &after) {
			w.job.Warning("source_changed", "the file changed twice while it was read", display(path))
		}
		w.counters.FilesHashed++
		w.counters.BytesHashed += length
		return sums, nil
	}
}

func (w *checksumWorker) read(path string, file fsys.File, algorithms []*digest.Algorithm) (sums [][]byte, length int64, err error) {
	if w.buffer == nil {
		w.buffer = make([]byte, w.job.parameters.bufferSize)
	}
	hashes := make([]hash.Hash, len(algorithms))
	for index, algorithm := range algorithms {
		hashes[index] = algorithm.New()
	}
	stream := fsys.Stream{File: file}
	for {
		if stream.Offset > 0 {
			w.job.Meter.SetCurrent(display(path)) // others have told theirs since
		}
		if w.job.ctx.Err() != nil {
			return nil, 0, errStopped
		}
		read, err := stream.Read(w.buffer)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		for _, hash := range hashes {
			_, _ = hash.Write(w.buffer[:read]) // which never fails
		}
		w.job.Meter.BytesDone.Add(int64(read))
	}
	for _, hash := range hashes {
		sums = append(sums, hash.Sum(nil))
	}
	return sums, stream.Offset, nil
}
