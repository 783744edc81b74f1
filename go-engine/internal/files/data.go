// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
)

const (
	// kernelCopyFrom is the size from which the kernel copies faster than we do through a buffer.
	kernelCopyFrom = 1 << 20
	// smallestPiece keeps a slow bandwidth limit from asking for single bytes.
	smallestPiece = 4 << 10
)

// check tells a long copy to stop.
func (j *syncJob) check() error {
	if j.stopped.Load() {
		return errStopped
	}
	return nil
}

// moved counts bytes that were copied, and waits where the bandwidth is limited.
func (j *syncJob) moved(length int64) error {
	j.Meter.BytesDone.Add(length)
	for j.limiter != nil && length > 0 {
		piece := min(length, int64(j.limiter.Burst()))
		if err := j.limiter.WaitN(j.ctx, int(piece)); err != nil {
			return errStopped
		}
		length -= piece
	}
	return j.check()
}

// limitedPiece gives the size of the pieces under a bandwidth limit: about ten a second, so that the pace is even.
func (j *syncJob) limitedPiece() int {
	return int(min(int64(j.parameters.bufferSize), max(j.parameters.bandwidthLimit/10, smallestPiece)))
}

// copyData fills an empty file with the content of an open source, and tells what the source is by then.
func (w *worker) copyData(at *place, to fsys.File, from origin.File, source, now *fsys.Stat) error {
	if from.IsFar() {
		return w.receive(at, to, from, source, now)
	}
	if err := w.copyLocal(to, from.Local(), source); err != nil {
		return err
	}
	return unable("read the source", from.Stat(now))
}

// copyLocal copies what is on this host, by the fastest way that both files allow.
func (w *worker) copyLocal(to, from fsys.File, source *fsys.Stat) error {
	job, size := w.job, source.Size()
	w.needBuffer()
	buffer := w.buffer
	if job.limiter != nil {
		buffer = buffer[:job.limitedPiece()]
	}
	switch {
	case source.IsSparse():
		return w.copySparse(to, from, size, buffer)
	case job.limiter != nil || size < kernelCopyFrom:
		return fsys.CopyBuffered(to, from, 0, size, buffer, job.moved)
	}
	if cloned, err := w.clone(to, from, source); cloned || err != nil {
		return err
	}
	if job.parameters.parallelChunks > 1 && size > job.parameters.chunkSize {
		return w.copyChunks(to, from, size)
	}
	return w.copyRange(to, from, 0, size, buffer)
}

// copySparse copies the data of a file; its holes are done with that.
func (w *worker) copySparse(to, from fsys.File, size int64, buffer []byte) error {
	holes := size
	err := fsys.CopySparse(to, from, size, buffer, func(length int64) error {
		holes -= length
		return w.job.moved(length)
	})
	w.job.Meter.BytesPassed.Add(holes)
	w.job.Meter.BytesTotal.Add(-holes)
	return err
}

// clone lets both files share their data, where the file system can do that.
func (w *worker) clone(to, from fsys.File, source *fsys.Stat) (bool, error) {
	job := w.job
	var made fsys.Stat
	if err := to.Stat(&made); err != nil {
		return false, err
	}
	pair := devices{source.Identity().Device, made.Identity().Device}
	job.mutex.Lock()
	hopeless := job.unclones[pair]
	job.mutex.Unlock()
	if hopeless {
		return false, nil
	}
	err := fsys.Clone(to, from)
	if fsys.CannotClone(err) {
		job.mutex.Lock()
		job.unclones[pair] = true
		job.mutex.Unlock()
		return false, nil
	}
	if err == nil {
		err = job.moved(source.Size())
	}
	return true, err
}

func (w *worker) copyRange(to, from fsys.File, offset, length int64, buffer []byte) error {
	done, err := fsys.CopyRange(to, from, offset, length, w.job.moved)
	if err != nil || done == length {
		return err
	}
	return fsys.CopyBuffered(to, from, offset+done, length-done, buffer, w.job.moved)
}

// copyChunks copies the ranges of a large file by several goroutines at once.
func (w *worker) copyChunks(to, from fsys.File, size int64) error {
	if err := to.Truncate(size); err != nil {
		return err
	}
	return w.inChunks(size, func() (func(offset, length int64) error, func(), error) {
		buffer := make([]byte, w.job.parameters.bufferSize)
		copy := func(offset, length int64) error { return w.copyRange(to, from, offset, length, buffer) }
		return copy, func() {}, nil
	})
}

// inChunks calls copy for each range of a large file, by several goroutines at once. start makes what one of them needs,
// and end is called when it is done.
func (w *worker) inChunks(size int64, start func() (copy func(offset, length int64) error, end func(), err error)) error {
	chunk := w.job.parameters.chunkSize
	count := (size + chunk - 1) / chunk
	var next atomic.Int64
	var first error
	var once sync.Once
	var group sync.WaitGroup
	fail := func(err error) {
		once.Do(func() { first = err })
		next.Store(count) // nobody takes another
	}
	for range min(int64(w.job.parameters.parallelChunks), count) {
		group.Go(func() {
			copy, end, err := start()
			if err != nil {
				fail(err)
				return
			}
			defer end()
			for number := next.Add(1) - 1; number < count; number = next.Add(1) - 1 {
				offset := number * chunk
				if err := copy(offset, min(chunk, size-offset)); err != nil {
					fail(err)
					return
				}
			}
		})
	}
	group.Wait()
	return first
}
