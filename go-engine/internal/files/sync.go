// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/sumcache"
	"migration.assistant/engine/internal/wire"
)

// syncJob is one file_sync at work. Its phases are the walk, which does all but what follows, the hard links, the
// deletions, and the entries for which a directory had to be deleted first.
type syncJob struct {
	*operations.Session
	parameters *syncParameters
	policy     *policy
	ctx        context.Context
	limiter    *rate.Limiter
	chunks     chan struct{} // one for each chunk in work, of all files together
	queue      *queue[item]
	roots      *roots
	flusher    *flusher
	cache      *sumcache.Cache
	stopped    atomic.Bool
	lost       atomic.Bool       // the connection to another host
	vanished   atomic.Bool       // something of the source
	notDirect  sync.Once         // tells that a file system has no direct reads and writes
	explain    func(error) error // words an error of the connection to another host

	mutex    sync.Mutex
	fatal    error
	workers  []*worker
	linked   map[fsys.Identity]*linkGroup
	claims   claims[*linkGroup]
	bereft   map[fsys.Identity]bool // inodes of the destination that lost a name
	extras   []extra
	late     []lateEntry
	touched  map[string]touched
	unclones map[devices]bool
	partials map[string]bool // those of earlier runs that nobody has gone on with, and false for each other one
}

// devices are those of a source and a destination.
type devices struct{ source, destination uint64 }

// synchronize makes the destination equal the source.
func synchronize(ctx context.Context, session *operations.Session, parameters *syncParameters) (any, error) {
	fsys.RaiseDescriptorLimit()
	job := &syncJob{
		Session:    session,
		parameters: parameters,
		ctx:        ctx,
		queue:      newQueue[item](parameters.workers()),
		chunks:     make(chan struct{}, parameters.parallelFiles*parameters.parallelChunks),
		linked:     map[fsys.Identity]*linkGroup{},
		claims:     claims[*linkGroup]{},
		touched:    map[string]touched{},
		unclones:   map[devices]bool{},
		partials:   map[string]bool{},
	}
	if limit := parameters.bandwidthLimit; limit > 0 {
		job.limiter = rate.NewLimiter(rate.Limit(limit), job.limitedPiece())
	}
	defer context.AfterFunc(ctx, func() { job.stopped.Store(true) })()
	source, err := openSource(ctx, session, parameters)
	if err != nil {
		return job.statistics(), err
	}
	defer source.close()
	defer context.AfterFunc(ctx, source.leave)() // what waits for the other host waits no longer
	job.explain = source.explain
	job.policy = newPolicy(session, parameters.preserve)
	roots, err := job.openRoots(source.root, source.isSeenFromHere)
	if err != nil {
		return job.statistics(), err
	}
	defer roots.close()
	job.roots = roots
	job.flusher = newFlusher(parameters, session.DryRun)
	defer job.flusher.close()
	if err := job.flusher.add(roots.destination, &roots.destinationStat); err != nil {
		return job.statistics(), err
	}
	cache, done := openCache(session, parameters.cache)
	defer done()
	job.cache = cache
	defer startCensus(ctx, session.Meter, job.countSource())()
	err = job.run()
	return job.statistics(), err
}

func (j *syncJob) run() error {
	if !j.roots.locked {
		j.Warning("lock_unavailable", "the destination cannot be locked; do not run two jobs on it", "")
	}
	session := j.Session
	session.Meter.SetPhase("copy")
	if err := j.walk(); err != nil {
		return err
	}
	session.Meter.SetPhase("links")
	j.linkGroups()
	session.Meter.SetPhase("delete")
	j.checkSource()
	deleted, err := j.deleteExtras()
	if deleted {
		session.Meter.SetPhase("finish")
		j.makeLateEntries()
	}
	if err == nil && j.PartialFailure() == nil && !j.stopped.Load() {
		j.removePartials()
	}
	j.restoreTouched()
	j.flushAtEnd()
	if j.DryRun && err == nil {
		j.warnOfRoom()
	}
	if failed := j.state(); failed != nil {
		return failed
	}
	failpoint.Hit("file_sync.before_result")
	if partial := j.PartialFailure(); partial != nil {
		return partial
	}
	return err
}

// checkSource ends the job if what was not found in the source was not deleted from it, but with it.
func (j *syncJob) checkSource() {
	if j.stopped.Load() || len(j.extras) == 0 && !j.vanished.Load() {
		return
	}
	err := j.roots.source.CheckThere(j.parameters.source)
	if isLost(err) {
		j.lost.Store(true)
		err = j.explain(err)
	}
	if err != nil {
		j.stopBy(err)
	}
}

// state tells why the job must end at once, if it must.
func (j *syncJob) state() error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	// That the job was stopped comes first: what fails then only follows from it.
	if err := j.ctx.Err(); err != nil {
		return err
	}
	return j.fatal
}

// isResumed tells whether a file is left as far as it is: it was not the file that failed, but the job that was stopped.
func (j *syncJob) isResumed(err error) bool {
	return j.ctx.Err() != nil || j.lost.Load() || isLost(err)
}

func (j *syncJob) stopBy(err error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.fatal == nil {
		j.fatal = err
	}
	j.stopped.Store(true)
}

// entryFailed sorts out what went wrong with one entry.
func (j *syncJob) entryFailed(path string, err error) {
	name := display(path)
	var known *entryError
	if err == errVanished {
		j.vanished.Store(true)
	}
	switch {
	case err == nil || err == errStopped:
	case leftOut(err) != "" && j.parameters.failVanished:
		j.EntryFailed(leftOut(err), err.Error(), name)
	case leftOut(err) != "":
		j.Warning(leftOut(err), err.Error(), name)
	case isLost(err):
		j.lost.Store(true)
		j.stopBy(j.explain(err))
	case fsys.IsNoRoom(err):
		j.stopBy(j.noRoom(path, err))
	case errors.As(err, &known):
		j.EntryFailed(known.code, known.message, name)
	default:
		j.EntryFailed(wire.IOError, fsys.Reason(err), name)
	}
}

func (j *syncJob) statistics() *syncStatistics {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	total := &syncStatistics{Changes: j.Changes()}
	for _, worker := range j.workers {
		total.add(&worker.counters)
	}
	return total
}

// report emits a change of an entry.
func (j *syncJob) report(action string, stat *fsys.Stat, path string, before, after *wire.Attributes) {
	j.Change(action, stat.Kind(), display(path), before, after)
}

// display gives the path as events tell it: the root is ".".
func display(path string) wire.Path {
	if path == "" {
		return "."
	}
	return wire.Path(path)
}

func split(path string) (above, name string) {
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
		return path[:slash], path[slash+1:]
	}
	return "", path
}

func join(directory, name string) string {
	if directory == "" {
		return name
	}
	return directory + "/" + name
}
