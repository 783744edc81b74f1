// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/manifest"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/sumcache"
	"migration.assistant/engine/internal/wire"
)

const gcPercent = 40

// checksumParameters are those of file_checksum. An algorithm of nil is to be found out from the manifest.
type checksumParameters struct {
	source        string
	manifest      string
	verify        bool
	algorithm     *digest.Algorithm
	extrasFail    bool
	filters       *filters.List
	parallelFiles int
	bufferSize    int
	cache         sumcache.Options
}

func readChecksumParameters(object *wire.Object) (*checksumParameters, error) {
	object.Required("action")
	parameters := &checksumParameters{
		source:        readPath(object, "source"),
		manifest:      readPath(object, "manifest"),
		verify:        object.Choice("action", "create", "verify") == "verify",
		extrasFail:    object.Choice("unexpected", "fail", "report") == "fail",
		filters:       filters.Read(object, "filters"),
		parallelFiles: readParallel(object, "parallel_files", 8),
		bufferSize:    int(object.Integer("buffer_size", 256<<10, 4<<10, 1<<30)),
	}
	if parameters.cache = sumcache.Read(object); parameters.verify {
		parameters.cache = sumcache.Options{} // what is verified is read
	}
	if object.Has("algorithm") || !parameters.verify {
		parameters.algorithm = digest.Named(object.Choice("algorithm", digest.Names()...))
	}
	return parameters, object.Err()
}

// checksumCounters are the statistics of both actions; sizes in bytes.
type checksumCounters struct {
	FilesTotal       int64 `json:"files_total"`
	DirectoriesTotal int64 `json:"directories_total"`
	SymlinksTotal    int64 `json:"symlinks_total"`
	SpecialsTotal    int64 `json:"specials_total"`
	FilesHashed      int64 `json:"files_hashed"`
	BytesHashed      int64 `json:"bytes_hashed"`
	ChecksumsCached  int64 `json:"checksums_cached"`
	Skipped          int64 `json:"skipped"`
}

func (c *checksumCounters) add(other *checksumCounters) {
	c.FilesTotal += other.FilesTotal
	c.DirectoriesTotal += other.DirectoriesTotal
	c.SymlinksTotal += other.SymlinksTotal
	c.SpecialsTotal += other.SpecialsTotal
	c.FilesHashed += other.FilesHashed
	c.BytesHashed += other.BytesHashed
	c.ChecksumsCached += other.ChecksumsCached
	c.Skipped += other.Skipped
}

// checksumStatistics are those of creating a manifest.
type checksumStatistics struct {
	checksumCounters
	Algorithm string `json:"algorithm"`
}

// checksumJob is one file_checksum at work.
type checksumJob struct {
	*operations.Session
	parameters *checksumParameters
	ctx        context.Context
	queue      *queue[checksumItem]
	place      *filePlace
	comparison *comparison     // of a job that verifies
	cache      *sumcache.Cache // of one that creates
	algorithms atomic.Pointer[[]*digest.Algorithm]

	mutex   sync.Mutex
	workers []*checksumWorker
	unread  map[string]bool // directories
}

// checksum writes the manifest of a tree, or verifies a tree by one.
func checksum(ctx context.Context, session *operations.Session, parameters *checksumParameters) (any, error) {
	fsys.RaiseDescriptorLimit()
	// What is kept are records, which hold no pointers: to look at them more often costs little, and saves memory.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	job := &checksumJob{
		Session:    session,
		parameters: parameters,
		ctx:        ctx,
		queue:      newQueue[checksumItem](parameters.parallelFiles),
		unread:     map[string]bool{},
	}
	if parameters.algorithm != nil {
		job.algorithms.Store(&[]*digest.Algorithm{parameters.algorithm})
	} else {
		job.algorithms.Store(&digest.Algorithms)
	}
	root, err := origin.OpenRoot(parameters.source)
	if err != nil {
		return nil, err
	}
	if job.place, err = openFilePlace("manifest", parameters.manifest, parameters.verify); err != nil {
		root.Close()
		return nil, err
	}
	defer job.place.close()
	cache, done := openCache(session, parameters.cache)
	job.cache = cache
	defer done()
	if parameters.verify {
		return job.verify(root)
	}
	return job.create(root)
}

// create writes the manifest, unless there is an equal one.
func (j *checksumJob) create(root fsys.Directory) (any, error) {
	err := j.walk(root)
	statistics := &checksumStatistics{j.counters(), j.parameters.algorithm.Name}
	if err == nil {
		err = j.PartialFailure()
	}
	if err != nil {
		return statistics, err
	}
	j.Meter.SetPhase("finish")
	return statistics, j.writeManifest(j.records())
}

// walk goes through the whole tree; it closes its root.
func (j *checksumJob) walk(root fsys.Directory) error {
	defer startCensus(j.ctx, j.Meter, countHere(j.parameters.source, j.parameters.filters, false, nil))()
	j.Meter.SetPhase("checksum")
	first := j.newWorker()
	directory := &measured{held: root}
	directory.pending.Store(1)
	first.scan(directory)
	directory.release()
	j.queue.run(func() func([]checksumItem) { return j.newWorker().work })
	return j.ctx.Err()
}

func (j *checksumJob) counters() checksumCounters {
	var total checksumCounters
	for _, worker := range j.workers {
		total.add(&worker.counters)
	}
	return total
}

func (j *checksumJob) records() []manifest.Record {
	count := 0
	for _, worker := range j.workers {
		count += len(worker.records)
	}
	records := make([]manifest.Record, 0, count)
	for _, worker := range j.workers {
		records = append(records, worker.records...)
		worker.records = nil
	}
	return records
}

// failed sorts out what went wrong with one entry.
func (j *checksumJob) failed(path string, err error) {
	var known *entryError
	switch {
	case err == nil || err == errStopped || j.ctx.Err() != nil:
	case err == errVanished:
		j.Warning("vanished", err.Error(), display(path))
	case errors.As(err, &known):
		j.EntryFailed(known.code, known.message, display(path))
	default:
		j.EntryFailed(wire.IOError, fsys.Reason(err), display(path))
	}
}

// directoryFailed is failed for a directory: what is in it is not known.
func (j *checksumJob) directoryFailed(path string, err error) {
	if err != errVanished {
		j.mutex.Lock()
		j.unread[path] = true
		j.mutex.Unlock()
	}
	j.failed(path, err)
}
