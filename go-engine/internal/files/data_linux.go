// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/fsys"
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
	if j.limiter != nil {
		if err := j.limiter.WaitN(j.ctx, int(length)); err != nil {
			return errStopped
		}
	}
	return j.check()
}

// limitedPiece gives the size of the pieces under a bandwidth limit: about ten a second, so that the pace is even.
func (j *syncJob) limitedPiece() int {
	return int(min(int64(j.parameters.bufferSize), max(j.parameters.bandwidthLimit/10, smallestPiece)))
}

// copyData fills an empty file with the content of an open source, by the fastest way that both allow.
func (w *worker) copyData(to, from int, source *fsys.Stat) error {
	job, size := w.job, source.Size
	w.needBuffer()
	buffer := w.buffer
	if job.limiter != nil {
		buffer = buffer[:job.limitedPiece()]
	}
	switch {
	case fsys.IsSparse(source):
		return fsys.CopySparse(to, from, size, buffer, job.moved)
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

// clone lets both files share their data, where the file system can do that.
func (w *worker) clone(to, from int, source *fsys.Stat) (bool, error) {
	job := w.job
	var made fsys.Stat
	if err := fsys.Fstat(to, &made); err != nil {
		return false, err
	}
	pair := devices{source.Dev, made.Dev}
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
		err = job.moved(source.Size)
	}
	return true, err
}

func (w *worker) copyRange(to, from int, offset, length int64, buffer []byte) error {
	done, err := fsys.CopyRange(to, from, offset, length, w.job.moved)
	if err != nil || done == length {
		return err
	}
	return fsys.CopyBuffered(to, from, offset+done, length-done, buffer, w.job.moved)
}

// copyChunks copies the ranges of a large file by several goroutines at once.
func (w *worker) copyChunks(to, from int, size int64) error {
	if err := fsys.Truncate(to, size); err != nil {
		return err
	}
	chunk := w.job.parameters.chunkSize
	count := (size + chunk - 1) / chunk
	var next atomic.Int64
	var first error
	var once sync.Once
	var group sync.WaitGroup
	for range min(int64(w.job.parameters.parallelChunks), count) {
		group.Go(func() {
			buffer := make([]byte, w.job.parameters.bufferSize)
			for number := next.Add(1) - 1; number < count; number = next.Add(1) - 1 {
				offset := number * chunk
				if err := w.copyRange(to, from, offset, min(chunk, size-offset), buffer); err != nil {
					once.Do(func() { first = err })
					next.Store(count) // nobody takes another
					return
				}
			}
		})
	}
	group.Wait()
	return first
}
