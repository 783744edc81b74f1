// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"sync"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
)

// noFile is a file that is not open.
var noFile origin.File

// contentRange is what of a file on another host is asked for at once.
type contentRange struct{ start, length int64 }

var (
	whole     = contentRange{0, -1}
	noContent = contentRange{0, 0} // it is opened all the same
)

// deltaFrom is from which size on a file that replaces another is compared with that, block by block.
const deltaFrom = 4 << 20

// rangeOf tells what of a file is asked for when it is opened: nothing of one that comes in chunks.
func (w *worker) rangeOf(source *fsys.Stat, replaces bool) contentRange {
	if w.job.DryRun || w.comesInChunks(source, replaces) {
		return noContent
	}
	return whole
}

// comesInChunks tells whether a file is asked for part by part; replaces, whether there is a file in its place.
func (w *worker) comesInChunks(source *fsys.Stat, replaces bool) bool {
	if replaces && source.Size() >= deltaFrom && !source.IsSparse() {
		return true
	}
	return source.Size() > w.job.parameters.chunkSize && (w.job.parameters.parallelChunks > 1 || w.job.parameters.resume)
}

// fetch gives the worker's own way to the contents on another host.
func (w *worker) fetch(tree *origin.Tree) (*origin.Fetcher, error) {
	if w.fetcher != nil {
		return w.fetcher, nil
	}
	var err error
	w.fetcher, err = tree.Fetcher()
	return w.fetcher, err
}

func (w *worker) releaseFetcher() {
	if w.fetcher != nil {
		w.fetcher.Release()
		w.fetcher = nil
	}
}

// prefetch asks for the listings of directories that are about to be entered.
func (d *directory) prefetch(directories []item) {
	tree := d.source.Tree()
	if tree == nil {
		return
	}
	// The last is entered first.
	for index := len(directories) - 1; index >= 0; index-- {
		if !tree.Prefetch(d.join(directories[index].name)) {
			return
		}
	}
}

// askAhead asks for the contents of all files of a part that will be copied, so that they come without a pause. A
// wrong guess does no harm.
func (w *worker) askAhead(d *directory, part []item) {
	fetcher, err := w.fetch(d.source.Tree())
	if err != nil {
		w.job.entryFailed(d.path, err)
		return
	}
	for index := range part {
		entry := &part[index]
		var source fsys.Stat
		if entry.kind != fsys.TypeRegular || d.source.Lstat(entry.name, &source) != nil || w.job.links(&source) {
			continue
		}
		if content := w.rangeOf(&source, entry.existing == fsys.TypeRegular); w.willCopy(d, entry, &source) {
			if err := fetcher.Ask(d.source, entry.name, content.start, content.length); err != nil {
				w.job.entryFailed(d.join(entry.name), err)
				return
			}
		}
	}
	if err := fetcher.Flush(); err != nil {
		w.job.entryFailed(d.path, err)
	}
}

// willCopy guesses whether the content of a file is copied.
func (w *worker) willCopy(d *directory, entry *item, source *fsys.Stat) bool {
	if entry.existing != fsys.TypeRegular {
		return entry.existing != fsys.TypeDirectory
	}
	at := &place{directory: d, name: entry.name}
	if w.lookAt(at) != nil || !at.isFile() || w.isNewer(at, source) {
		return false
	}
	if w.job.parameters.checksum && source.Size() == at.stat.Size() {
		return false
	}
	same, err := w.hasContent(at, source)
	return err == nil && !same
}

// openFar is openSource for a file on another host.
func (w *worker) openFar(at *place, source *fsys.Stat, content contentRange) (origin.File, error) {
	fetcher, err := w.fetch(at.directory.source.Tree())
	if err != nil {
		return noFile, err
	}
	file, err := fetcher.Open(at.directory.source, at.name, content.start, content.length)
	if err == nil {
		err = takeOver(file.Stat, source, "source")
	}
	if err != nil {
		file.Close()
		return noFile, unableToRead("read the source", err)
	}
	return file, nil
}

// receive fills a file with a content from another host, and tells what the source is by then.
func (w *worker) receive(at *place, to fsys.File, from origin.File, source, now *fsys.Stat) error {
	var err error
	if w.comesInChunks(source, at.isFile()) {
		err = w.receiveChunks(at, to, source, now)
	} else if _, err = w.receiveFrom(to, from); err == nil {
		err = from.Stat(now)
	}
	if err == nil && source.IsSparse() {
		err = to.Truncate(now.Size()) // it may end with a hole
	}
	return err
}

func (w *worker) receiveFrom(to fsys.File, from origin.File) (known int64, err error) {
	passed := func(length int64) {
		w.job.Meter.BytesPassed.Add(length)
		w.job.Meter.BytesTotal.Add(-length)
	}
	return known, from.CopyTo(to, w.job.moved, func(length int64) error {
		known += length
		passed(length)
		return w.job.check()
	}, passed)
}

// receiveChunks gets the chunks of a large file over several streams. now becomes what the last to change told.
func (w *worker) receiveChunks(at *place, to fsys.File, source, now *fsys.Stat) error {
	tree := at.directory.source.Tree()
	if err := to.Truncate(source.Size()); err != nil {
		return err
	}
	*now = *source
	earlier := w.openEarlier(at, source)
	defer func() { at.reused = earlier.close() }()
	var mutex sync.Mutex
	return w.inChunks(at.partial, source.Size(), func(next func() (fsys.Extent, bool)) error {
		fetcher, err := tree.Fetcher()
		if err != nil {
			return err
		}
		defer fetcher.Release()
		ask := func(piece fsys.Extent) error {
			known, err := earlier.know(w, piece)
			if err != nil {
				return err
			}
			if err := fetcher.AskDelta(at.directory.source, at.name, piece.Start, piece.Length(), known); err != nil {
				return err
			}
			return fetcher.Flush()
		}
		piece, more := next()
		if !more {
			return nil
		}
		if err := ask(piece); err != nil {
			return err
		}
		for more {
			current := piece
			piece, more = next()
			// The next is on its way before the current one is read, but once for each connection that has come since.
			ahead := more && !fetcher.IsOutdated()
			if ahead {
				if err := ask(piece); err != nil {
					return err
				}
			}
			found, known, err := w.receivePiece(fetcher, at, to, current)
			if err != nil {
				return err
			}
			earlier.note(current.Length(), known)
			if !unchanged(source, &found) {
				mutex.Lock()
				*now = found
				mutex.Unlock()
			}
			if err := at.partial.note(current); err != nil {
				return err
			}
			if more && !ahead {
				if err := ask(piece); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// receivePiece gets a part of a large file, and tells what the source is by then, and how much of it was here.
func (w *worker) receivePiece(
	fetcher *origin.Fetcher, at *place, to fsys.File, piece fsys.Extent,
) (found fsys.Stat, known int64, err error) {
	file, err := fetcher.Open(at.directory.source, at.name, piece.Start, piece.Length())
	if err != nil {
		return found, 0, unableToRead("read the source", err)
	}
	defer file.Close()
	if known, err = w.receiveFrom(to, file); err != nil {
		return found, known, err
	}
	return found, known, file.Stat(&found)
}

func isLost(err error) bool { return errors.Is(err, far.ErrLost) }
