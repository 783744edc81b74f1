// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// treeStatistics are the statistics of file_statistics; sizes in bytes.
type treeStatistics struct {
	FilesTotal       int64         `json:"files_total"`
	DirectoriesTotal int64         `json:"directories_total"`
	SymlinksTotal    int64         `json:"symlinks_total"`
	SpecialsTotal    int64         `json:"specials_total"`
	BytesTotal       int64         `json:"bytes_total"`
	HardLinks        int64         `json:"hard_links"`
	LargestFile      int64         `json:"largest_file"`
	AverageFileSize  int64         `json:"average_file_size"`
	FilesOver100MiB  int64         `json:"files_over_100mib"`
	SparseFiles      int64         `json:"sparse_files"`
	SizeHistogram    sizeHistogram `json:"size_histogram"`
}

// sizeHistogram counts files by the first limit that their size does not pass.
type sizeHistogram struct {
	To4KiB     int64 `json:"<=4KiB"`
	To64KiB    int64 `json:"<=64KiB"`
	To1MiB     int64 `json:"<=1MiB"`
	To100MiB   int64 `json:"<=100MiB"`
	Over100MiB int64 `json:">100MiB"`
}

func (h *sizeHistogram) count(size int64) {
	switch {
	case size <= 4<<10:
		h.To4KiB++
	case size <= 64<<10:
		h.To64KiB++
	case size <= 1<<20:
		h.To1MiB++
	case size <= 100<<20:
		h.To100MiB++
	default:
		h.Over100MiB++
	}
}

func (s *treeStatistics) count(stat *fsys.Stat) {
	switch stat.Type() {
	case fsys.TypeDirectory:
		s.DirectoriesTotal++
	case fsys.TypeSymlink:
		s.SymlinksTotal++
	case fsys.TypeRegular:
		s.FilesTotal++
		s.BytesTotal += stat.Size()
		s.LargestFile = max(s.LargestFile, stat.Size())
		s.SizeHistogram.count(stat.Size())
		if stat.Links() > 1 {
			s.HardLinks++
		}
		if stat.IsSparse() {
			s.SparseFiles++
		}
	default:
		s.SpecialsTotal++
	}
}

func (s *treeStatistics) add(other *treeStatistics) {
	s.FilesTotal += other.FilesTotal
	s.DirectoriesTotal += other.DirectoriesTotal
	s.SymlinksTotal += other.SymlinksTotal
	s.SpecialsTotal += other.SpecialsTotal
	s.BytesTotal += other.BytesTotal
	s.HardLinks += other.HardLinks
	s.SparseFiles += other.SparseFiles
	s.LargestFile = max(s.LargestFile, other.LargestFile)
	s.SizeHistogram.To4KiB += other.SizeHistogram.To4KiB
	s.SizeHistogram.To64KiB += other.SizeHistogram.To64KiB
	s.SizeHistogram.To1MiB += other.SizeHistogram.To1MiB
	s.SizeHistogram.To100MiB += other.SizeHistogram.To100MiB
	s.SizeHistogram.Over100MiB += other.SizeHistogram.Over100MiB
}

// measured is a directory that stays open until all directories in it were opened.
type measured struct {
	parent  *measured
	name    string
	path    string
	held    fsys.Directory
	stat    fsys.Stat
	pending atomic.Int64
}

// isIn tells whether the directory is one, or in one, that the stat describes.
func (m *measured) isIn(stat *fsys.Stat) bool {
	for ; m != nil; m = m.parent {
		if m.stat.IsSame(stat) {
			return true
		}
	}
	return false
}

func (m *measured) release() {
	if m != nil && m.pending.Add(-1) == 0 {
		m.held.Close()
	}
}

// measurement is one file_statistics at work.
type measurement struct {
	*operations.Session
	parameters *statisticsParameters
	ctx        context.Context
	queue      *queue[*measured]
	mutex      sync.Mutex
	total      treeStatistics
}

// gatherStatistics counts what is in the source; it changes nothing.
func gatherStatistics(ctx context.Context, session *operations.Session, parameters *statisticsParameters) (any, error) {
	fsys.RaiseDescriptorLimit()
	root, err := origin.OpenRoot(parameters.source)
	if err != nil {
		return nil, err
	}
	if parameters.followSymlinks {
		root = root.Following()
	}
	m := &measurement{Session: session, parameters: parameters, ctx: ctx, queue: newQueue[*measured](parameters.parallelFiles)}
	first := &measured{held: root}
	if err := root.Stat(&first.stat); err != nil {
		return nil, unable("read the source", err)
	}
	m.queue.add(batch[*measured]{items: []*measured{first}})
	m.queue.run(m.worker)
	if m.total.FilesTotal > 0 {
		m.total.AverageFileSize = m.total.BytesTotal / m.total.FilesTotal
	}
	m.total.FilesOver100MiB = m.total.SizeHistogram.Over100MiB
	if ctx.Err() != nil {
		return &m.total, ctx.Err()
	}
	return &m.total, session.PartialFailure()
}

// worker gives the work of one goroutine.
func (m *measurement) worker() func([]*measured) {
	lister := &fsys.Lister{}
	return func(part []*measured) {
		for _, directory := range part {
			var found treeStatistics
			err := m.ctx.Err()
			if err == nil {
				err = m.measure(directory, lister, &found)
			}
			m.fail(directory.path, err)
			m.mutex.Lock()
			m.total.add(&found)
			m.mutex.Unlock()
		}
	}
}

// measure opens a directory and counts what is in it.
func (m *measurement) measure(directory *measured, lister *fsys.Lister, found *treeStatistics) error {
	m.Meter.SetCurrent(display(directory.path))
	directory.pending.Store(1)
	defer directory.release()
	if directory.parent != nil {
		var err error
		directory.held, err = directory.parent.held.OpenDirectory(directory.name)
		directory.parent.release()
		if err != nil {
			return unableToRead("open the source directory", err)
		}
	}
	entries, err := lister.List(directory.held)
	if err != nil {
		return unable("read the source", err)
	}
	var below []*measured
	for _, entry := range entries {
		path := join(directory.path, entry.Name)
		var stat fsys.Stat
		if err := directory.held.Lstat(entry.Name, &stat); err != nil {
			m.fail(path, unableToRead("read the source", err))
			continue
		}
		isDirectory := stat.IsDirectory()
		if m.parameters.filters.Hides(path, isDirectory) {
			continue
		}
		found.count(&stat)
		m.Meter.ItemsTotal.Add(1)
		m.Meter.ItemsDone.Add(1)
		if isDirectory && !(m.parameters.followSymlinks && directory.isIn(&stat)) {
			below = append(below, &measured{parent: directory, name: entry.Name, path: path, stat: stat})
		}
	}
	directory.pending.Add(int64(len(below)))
	m.queue.add(batch[*measured]{items: below, apart: true})
	return nil
}

func (m *measurement) fail(path string, err error) {
	var known *entryError
	switch {
	case err == nil || leftOut(err) != "" || m.ctx.Err() != nil:
	case errors.As(err, &known):
		m.EntryFailed(known.code, known.message, display(path))
	default:
		m.EntryFailed(wire.IOError, fsys.Reason(err), display(path))
	}
}
