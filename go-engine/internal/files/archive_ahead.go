// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"io"
	"sync"

	"migration.assistant/engine/internal/fsys"
)

// readWhole is the size up to which a file is read before its header is written, so that both fit together even if
// the file changes meanwhile.
const readWhole = 1 << 20

// What bounds the files that are read before their turn, and so the memory that they take.
const (
	mostReaders  = 16
	aheadForEach = 2 // groups for each reader
	largestGroup = 8 // files
)

// packFile is a file that is open to be packed. data is the content of a small one, nil for others.
type packFile struct {
	file       fsys.File
	stat       fsys.Stat
	attributes fsys.Attributes
	extents    []fsys.Extent
	data       []byte
	changed    bool // it did so twice while it was read
}

// lookedAt is an entry of a directory that was looked at before its turn. file is nil where the walk is to open it.
type lookedAt struct {
	name   string
	stat   fsys.Stat
	err    error // of looking
	file   *packFile
	failed error // of opening or reading
}

// close closes the file, if it was opened.
func (l *lookedAt) close() {
	if l.file != nil {
		l.file.file.Close()
	}
}

// group are entries that one reader looks at.
type group struct {
	directory fsys.Directory
	entries   []lookedAt
	ready     chan struct{}
}

// readAhead reads small files of one directory before it is their turn, so that the walk does not wait for each.
type readAhead struct {
	job     *packJob
	data    bool // the contents are wanted
	groups  chan *group
	buffers sync.Pool
	workers sync.WaitGroup
}

func (j *packJob) newReadAhead(data bool) *readAhead {
	readers := min(j.parameters.parallel, mostReaders)
	r := &readAhead{job: j, data: data, groups: make(chan *group, aheadForEach*readers)}
	for range readers {
		r.workers.Go(func() {
			for group := range r.groups {
				r.lookAll(group)
			}
		})
	}
	return r
}

// close ends the readers; nothing may be asked of them any more.
func (r *readAhead) close() {
	close(r.groups)
	r.workers.Wait()
}

// lookAll looks at the entries, and reads those that are files to be packed here and now, until it is enough.
func (r *readAhead) lookAll(g *group) {
	defer close(g.ready)
	size := 0
	for index := range g.entries {
		entry := &g.entries[index]
		if entry.err != nil {
			continue
		}
		entry.err = g.directory.Lstat(entry.name, &entry.stat)
		if entry.err != nil || !entry.stat.IsRegular() || size > readWhole {
			continue
		}
		if entry.stat.Links() > 1 && r.job.parameters.preserve.hardLinks {
			continue
		}
		if entry.file, entry.failed = r.open(g.directory, entry.name); entry.failed == nil {
			size += len(entry.file.data)
		}
	}
}

// open opens a file, and reads it if it is small.
func (r *readAhead) open(directory fsys.Directory, name string) (*packFile, error) {
	file, err := directory.OpenFile(name)
	if err != nil {
		return nil, unableToRead("read the file", err)
	}
	opened := &packFile{file: file}
	if err := r.read(opened); err != nil {
		file.Close()
		return nil, err
	}
	return opened, nil
}

func (r *readAhead) read(f *packFile) (err error) {
	if err := f.file.Stat(&f.stat); err != nil {
		return unable("read the file", err)
	}
	if !f.stat.IsRegular() {
		return replaced("source")
	}
	if r.job.parameters.preserve.xattrs {
		if f.attributes, err = f.file.Handle().Attributes(); err != nil {
			return unable("read the extended attributes", err)
		}
		f.attributes = r.job.labelled(f.attributes)
	}
	if f.extents, err = holesOf(f.file, &f.stat); err != nil {
		return unable("read the file", err)
	}
	if r.data && f.extents == nil && f.stat.Size() <= readWhole {
		return r.readSmall(f)
	}
	return nil
}

// readSmall reads the whole file, once more if it changed meanwhile. One that grew too large is left to the walk.
func (r *readAhead) readSmall(f *packFile) error {
	for try := 0; ; try++ {
		size := int(f.stat.Size())
		buffer := r.buffer(size + 1)
		length, err := io.ReadFull(&fsys.Stream{File: f.file}, buffer)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return unable("read the file", err)
		}
		var now fsys.Stat
		if err := f.file.Stat(&now); err != nil {
			return unable("read the file", err)
		}
		same := unchanged(&f.stat, &now) && length == size
		if same || try > 0 && length <= size {
			f.data, f.changed = buffer[:length], !same
			return nil
		}
		r.giveBack(buffer)
		if try == 0 {
			r.job.Meter.RetryCount.Add(1)
		}
		f.stat = now
		if try > 0 || now.Size() > readWhole {
			return nil // it is packed as it grows
		}
	}
}

// buffer gives one of that length.
func (r *readAhead) buffer(length int) []byte {
	if held, _ := r.buffers.Get().(*[]byte); held != nil && cap(*held) >= length {
		return (*held)[:length]
	}
	return make([]byte, length, max(length, 64<<10))
}

func (r *readAhead) giveBack(buffer []byte) { r.buffers.Put(&buffer) }

// ahead looks at the entries of a directory before their turn, up to the next that may be a directory itself.
type ahead struct {
	walk      *packWalk
	directory fsys.Directory
	path      string
	entries   []fsys.Entry
	next      int      // the first that nobody was told to look at
	groups    []*group // of those before it that were not taken
	taken     int      // of the first group
}

// take gives what is known of the next entry, or nil.
func (a *ahead) take(index int) *lookedAt {
	a.next = max(a.next, index)
	for len(a.groups) < cap(a.walk.reader.groups) && a.isNextFile() {
		a.add()
	}
	if len(a.groups) == 0 {
		return nil
	}
	first := a.groups[0]
	<-first.ready
	entry := &first.entries[a.taken]
	if a.taken++; a.taken == len(first.entries) {
		a.groups, a.taken = a.groups[1:], 0
	}
	return entry
}

func (a *ahead) isNextFile() bool {
	return a.next < len(a.entries) && a.entries[a.next].Type == fsys.TypeRegular
}

// add has a reader look at the next files.
func (a *ahead) add() {
	g := &group{directory: a.directory, ready: make(chan struct{})}
	for len(g.entries) < largestGroup && a.isNextFile() {
		entry := lookedAt{name: a.entries[a.next].Name}
		if a.walk.passesOver(join(a.path, entry.name), entry.name) {
			entry.err = errPassedOver
		}
		g.entries = append(g.entries, entry)
		a.next++
	}
	a.groups = append(a.groups, g)
	a.walk.reader.groups <- g
}

// abandon closes what was opened for nothing.
func (a *ahead) abandon() {
	for _, g := range a.groups {
		<-g.ready
		for index := range g.entries[a.taken:] {
			g.entries[a.taken+index].close()
		}
		a.taken = 0
	}
}
