// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"io"
	"sync"

	"migration.assistant/engine/internal/fsys"
)

const (
	// slabSize is how much of the archive's contents is handed to a worker at once.
	slabSize = 1 << 20
	// largestParcel bounds the entries that one worker makes at once.
	largestParcel = 128
)

// parcel are entries that follow one another in the archive. Those that a worker is to make are all in one directory.
type parcel struct {
	directory *directory // open; nil where nothing is left to be made
	entries   []*unpacked
	contents  []content // of the entries
	slab      []byte    // holds the contents
	done      chan struct{}
}

func newParcel() *parcel { return &parcel{done: make(chan struct{})} }

// content is what a file is filled with: all of it, or what comes through the channel until that is closed. broken,
// which is set before that, tells that it is not complete.
type content struct {
	data   []byte
	pieces chan []byte
	back   chan<- []byte // takes the pieces when they were used
	broken bool
}

// each gives the content piece by piece, and takes all of it even after a failure.
func (c *content) each(use func(data []byte) error) (err error) {
	if c.pieces == nil {
		return use(c.data)
	}
	for piece := range c.pieces {
		if err == nil {
			err = use(piece)
		}
		c.back <- piece[:cap(piece)]
	}
	if err == nil && c.broken {
		err = errStopped
	}
	return err
}

// await waits until the parcel's entries are made, unless the waiting one, which comes after, is among them.
func (p *parcel) await(entry *unpacked) {
	if entry.parcel != p {
		<-p.done
	}
}

// spread hands the entries of an archive to workers, in its order: each parcel is taken before those behind it, so that
// a hard link can wait for its file. What was done is told in that order too.
type spread struct {
	*unpackJob
	reader  *archiveReader // nil until a content is needed that is not in memory
	read    int            // how many entries it has passed
	parcels chan *parcel
	slabs   chan []byte // not in use: as many as there are in all bound the memory
	current *parcel     // that is being filled
	untold  []*parcel
	group   sync.WaitGroup
}

// carryOut does what was found to be done.
func (u *unpackJob) carryOut() error {
	if u.DryRun {
		for _, entry := range u.entries {
			if u.stopped.Load() {
				return u.ctx.Err()
			}
			u.Meter.SetCurrent(display(entry.path))
			u.tell(entry)
		}
		return nil
	}
	s := &spread{unpackJob: u, parcels: make(chan *parcel, u.archive.parallel), current: newParcel()}
	defer s.closeReader()
	u.route = u.routeToWrite()
	defer u.route.close()
	s.start(u.archive.parallel)
	err := s.handOutAll()
	s.handOut()
	close(s.parcels)
	s.group.Wait()
	s.tellReady()
	return err
}

func (e *unpacked) needsContent() bool {
	return e.todo == makeAnew && e.stat.IsRegular() && !e.isLink() && e.err == nil
}

func (s *spread) start(workers int) {
	s.slabs = make(chan []byte, 2*workers+2)
	for range cap(s.slabs) {
		s.slabs <- nil // made when it is needed
	}
	for range workers {
		s.group.Go(func() {
			w := s.newWorker()
			for parcel := range s.parcels {
				s.work(w, parcel)
			}
		})
	}
}

func (s *spread) takeSlab() []byte {
	slab := <-s.slabs
	if slab == nil {
		slab = make([]byte, slabSize)
	}
	return slab
}

// work makes what is to be made of a parcel.
func (s *spread) work(w *worker, p *parcel) {
	defer close(p.done)
	defer s.release(p)
	defer w.guard()
	for index, entry := range p.entries {
		if s.stopped.Load() {
			return
		}
		if entry.done {
			continue
		}
		err := s.make(w, p.directory, entry, &p.contents[index])
		if err == errStopped {
			return
		}
		entry.err, entry.done = err, true
		if fsys.IsNoRoom(err) {
			s.stopped.Store(true) // it is told in its turn
		}
	}
}

// release gives back what a parcel holds, after all of a large file has come.
func (s *spread) release(p *parcel) {
	for index := range p.contents {
		if content := &p.contents[index]; content.pieces != nil {
			_ = content.each(func([]byte) error { return nil })
		}
	}
	if p.directory != nil {
		p.directory.letGo()
	}
	if p.slab != nil {
		s.slabs <- p.slab
	}
	p.directory, p.contents, p.slab = nil, nil, nil
}

// handOutAll goes through the archive.
func (s *spread) handOutAll() error {
	for _, entry := range s.entries {
		if s.stopped.Load() {
			return s.ctx.Err()
		}
		s.Meter.SetCurrent(display(entry.path))
		if err := s.add(entry); err != nil {
			return err
		}
	}
	return s.checkReader()
}

// add takes an entry. A directory is made at once, since what follows is in it.
func (s *spread) add(entry *unpacked) error {
	if s.isDone(entry) {
		s.addDone(entry)
		return nil
	}
	above, _ := split(entry.path)
	d, err := s.route.open(above)
	if err == nil && entry.stat.IsDirectory() {
		err = s.make(s.worker, d, entry, nil)
	}
	if err != nil || entry.stat.IsDirectory() {
		entry.err = err
		s.addDone(entry)
		return nil
	}
	if entry.needsContent() {
		return s.addFile(d, entry)
	}
	s.makeRoom(d, 0)
	s.append(entry)
	return nil
}

// isDone tells whether nothing is left to be made of an entry, or only when all that is in it is done.
func (s *spread) isDone(entry *unpacked) bool {
	return entry.ignored || entry.err != nil || s.skips(entry) || entry.todo == nothing ||
		entry.stat.IsDirectory() && (entry.todo == setMetadata || entry.path == "")
}

// addDone takes an entry that is only to be told.
func (s *spread) addDone(entry *unpacked) {
	entry.done = true
	if len(s.current.entries) >= largestParcel {
		s.handOut()
	}
	s.append(entry)
}

func (s *spread) append(entry *unpacked) *content {
	p := s.current
	entry.parcel = p
	p.entries = append(p.entries, entry)
	p.contents = append(p.contents, content{})
	return &p.contents[len(p.contents)-1]
}

// makeRoom sees to it that the parcel in hand is of that directory, and takes one more entry with so much content.
func (s *spread) makeRoom(d *directory, size int64) {
	p := s.current
	if p.directory != nil && (p.directory != d || len(p.entries) >= largestParcel || int64(len(p.slab))+size > slabSize) {
		s.handOut()
	}
	if s.current.directory == nil {
		s.current.directory = d.hold()
	}
}

// addFile takes a file with its content, of which only as much as a slab holds is in memory at once.
func (s *spread) addFile(d *directory, entry *unpacked) error {
	if entry.kept != nil {
		s.makeRoom(d, 0)
		s.append(entry).data, entry.kept = entry.kept, nil
		return nil
	}
	if err := s.readUpTo(entry); err != nil {
		return err
	}
	size := entry.stat.Size()
	if size > slabSize {
		s.makeRoom(d, 0)
		content := s.append(entry)
		content.pieces, content.back = make(chan []byte, 1), s.slabs
		s.handOut()
		return s.feed(content)
	}
	s.makeRoom(d, size)
	p := s.current
	if p.slab == nil {
		p.slab = s.takeSlab()[:0]
	}
	used := len(p.slab)
	p.slab = p.slab[:used+int(size)]
	data := p.slab[used:]
	if _, err := readPiece(s.reader, data); err != nil {
		return s.reader.failure(err)
	}
	s.append(entry).data = data
	return nil
}

// feed reads a large file, which a worker is writing.
func (s *spread) feed(content *content) error {
	defer close(content.pieces)
	for {
		slab := s.takeSlab()
		length, err := readPiece(s.reader, slab[:min(s.archive.bufferSize, slabSize)])
		content.pieces <- slab[:length]
		if err == io.EOF {
			return nil
		}
		if err != nil || s.stopped.Load() {
			content.broken = true
			return s.reader.failure(errors.Join(err, s.ctx.Err()))
		}
		s.tellReady()
	}
}

// readPiece fills the buffer; it gives the reader's own error if less is left.
func readPiece(from io.Reader, buffer []byte) (length int, err error) {
	for length < len(buffer) && err == nil {
		var read int
		read, err = from.Read(buffer[length:])
		length += read
	}
	if length == len(buffer) {
		err = nil
	}
	return length, err
}

// handOut gives the parcel in hand to the workers, and begins another.
func (s *spread) handOut() {
	p := s.current
	s.current = newParcel()
	if len(p.entries) == 0 {
		return
	}
	s.untold = append(s.untold, p)
	if p.directory == nil {
		close(p.done)
	} else {
		s.parcels <- p
	}
	s.tellReady()
}

// tellReady tells of the parcels that are done, as long as none before them is not.
func (s *spread) tellReady() {
	for len(s.untold) > 0 {
		select {
		case <-s.untold[0].done:
			s.tellAll(s.untold[0])
			s.untold[0] = nil
			s.untold = s.untold[1:]
		default:
			return
		}
	}
}

func (s *spread) tellAll(p *parcel) {
	for _, entry := range p.entries {
		if entry.done {
			s.tell(entry)
		}
	}
	p.entries = nil
}

// routeToWrite is for making what is to be made.
func (u *unpackJob) routeToWrite() *route {
	return &route{root: u.roots.destination, enter: u.openForWriting, arrive: u.prepare}
}

// prepare notes what writing in a directory costs it, and removes what a killed run left there.
func (u *unpackJob) prepare(d *directory) error {
	inherited, err := d.destination.Handle().Attributes()
	if err != nil {
		return unable("read the extended attributes", err)
	}
	_, d.inheritsACL = inherited[fsys.DefaultACL]
	if u.absent[d.path] {
		return nil // it was just made
	}
	var stat fsys.Stat
	if err := d.destination.Stat(&stat); err != nil {
		return unable("open the destination's directory", err)
	}
	u.remember(d.path, &stat, false)
	if u.cleaned[d.path] {
		return nil
	}
	u.cleaned[d.path] = true
	return u.removeLeftovers(d.destination)
}

// removeLeftovers removes what a killed run left in a directory that was just opened.
func (u *unpackJob) removeLeftovers(directory fsys.Directory) error {
	entries, err := u.worker.lister.List(directory)
	if err != nil {
		return unable("read the destination", err)
	}
	for _, entry := range entries {
		if isTemporary(entry.Name) && entry.Type != fsys.TypeDirectory {
			if err := directory.Remove(entry.Name); err != nil && !fsys.IsNotExist(err) {
				return unable("remove what an earlier run left", err)
			}
		}
	}
	return nil
}
