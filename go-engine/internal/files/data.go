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

// copyData fills a file with what it lacks of the content of an open source, and tells what the source is by then.
func (w *worker) copyData(at *place, to fsys.File, from origin.File, source, now *fsys.Stat) error {
	if source.IsSparse() {
		to.AllowHoles()
	}
	if from.IsFar() {
		return w.receive(at, to, from, source, now)
	}
	if err := w.copyLocal(at.partial, to, from.Local(), source); err != nil {
		return err
	}
	return unable("read the source", from.Stat(now))
}

// copyLocal copies what is on this host, by the fastest way that both files allow.
func (w *worker) copyLocal(partial *partial, to, from fsys.File, source *fsys.Stat) error {
	job, size := w.job, source.Size()
	sparse := source.IsSparse()
	if !sparse && job.limiter == nil && size >= kernelCopyFrom && !partial.isBegun() {
		if cloned, err := w.clone(to, from, source); cloned || err != nil {
			return err
		}
	}
	if partial != nil || job.parameters.parallelChunks > 1 && size > job.parameters.chunkSize {
		return w.copyChunks(partial, to, from, source)
	}
	if sparse {
		if err := to.Truncate(size); err != nil {
			return err
		}
	}
	w.needBuffer()
	return w.copyPart(to, from, fsys.Extent{End: size}, sparse, w.buffer)
}

// copyPart copies a part of a file, with its holes if it is sparse.
func (w *worker) copyPart(to, from fsys.File, part fsys.Extent, sparse bool, buffer []byte) error {
	job, offset, length := w.job, part.Start, part.Length()
	if job.parameters.directIO && !sparse && length >= kernelCopyFrom {
		done, err := w.copyDirect(to, from, offset, length, buffer)
		if err != nil || done == length {
			return err
		}
		offset, length = offset+done, length-done
	}
	if job.limiter != nil {
		buffer = buffer[:job.limitedPiece()]
	}
	switch {
	case sparse:
		holes := length
		err := fsys.CopySparse(to, from, offset, length, buffer, func(length int64) error {
			holes -= length
			return job.moved(length)
		})
		job.Meter.BytesPassed.Add(holes)
		job.Meter.BytesTotal.Add(-holes)
		return err
	case job.limiter != nil || length < kernelCopyFrom:
		return fsys.CopyBuffered(to, from, offset, length, buffer, job.moved)
	}
	done, err := fsys.CopyRange(to, from, offset, length, job.moved)
	if err != nil || done == length {
		return err
	}
	return fsys.CopyBuffered(to, from, offset+done, length-done, buffer, job.moved)
}

// copyDirect copies what can be past the cache of files, from the beginning of the part on, and gives how much that was.
func (w *worker) copyDirect(to, from fsys.File, offset, length int64, buffer []byte) (int64, error) {
	head := -offset & (fsys.DirectUnit - 1)
	if err := fsys.CopyBuffered(to, from, offset, head, buffer, w.job.moved); err != nil {
		return 0, err
	}
	done, err := fsys.CopyDirect(to, from, offset+head, length-head, w.job.moved)
	if done == 0 && err == nil {
		w.job.notDirect.Do(func() {
			w.job.Warning("direct_io_unavailable", "at least one of the file systems reads and writes through the cache only", "")
		})
	}
	return head + done, err
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

// copyChunks copies the chunks of a large file by several goroutines at once.
func (w *worker) copyChunks(partial *partial, to, from fsys.File, source *fsys.Stat) error {
	sparse := source.IsSparse()
	if err := to.Truncate(source.Size()); err != nil {
		return err
	}
	return w.inChunks(partial, source.Size(), func(next func() (fsys.Extent, bool)) error {
		buffer := make([]byte, w.job.parameters.bufferSize)
		for piece, more := next(); more; piece, more = next() {
			if err := w.copyPart(to, from, piece, sparse, buffer); err != nil {
				return err
			}
			if err := partial.note(piece); err != nil {
				return err
			}
		}
		return nil
	})
}

// mayStartChunk counts one more chunk in work: each file has one, which is waited for, and more as long as all files
// together have not more than as many of them as are copied at the same time.
func (j *syncJob) mayStartChunk(first bool) bool {
	if first {
		j.chunks <- struct{}{}
		return true
	}
	select {
	case j.chunks <- struct{}{}:
		return true
	default:
		return false
	}
}

// inChunks calls copy, by several goroutines at once, to copy the pieces that next gives it: what is missing of a large
// file, each goroutine going through one chunk after the other. After an error next gives no more.
func (w *worker) inChunks(partial *partial, size int64, copy func(next func() (fsys.Extent, bool)) error) error {
	chunk := w.job.parameters.chunkSize
	count := (size + chunk - 1) / chunk
	var shared atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for number := range min(int64(w.job.parameters.parallelChunks), count) {
		if !w.job.mayStartChunk(number == 0) {
			break
		}
		group.Go(func() {
			defer func() { <-w.job.chunks }()
			var own []fsys.Extent
			err := copy(func() (piece fsys.Extent, more bool) {
				for len(own) == 0 {
					number := shared.Add(1) - 1
					if number >= count {
						return piece, false
					}
					own = partial.missing(fsys.Extent{Start: number * chunk, End: min((number+1)*chunk, size)})
				}
				piece = own[0]
				if piece.Length() > recordedPiece {
					piece.End = piece.Start + recordedPiece
					own[0].Start = piece.End
				} else {
					own = own[1:]
				}
				return piece, failed.Load() == nil
			})
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
