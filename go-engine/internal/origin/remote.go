// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"errors"
	"io"
	"sync"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/sumcache"
)

const (
	// listers is how many streams listings come by.
	listers = 4
	// mostAhead bounds the listings that were asked for ahead of need, mostEntriesAhead the entries in each, and mostKept
	// those in all that came. Larger directories are asked for when they are entered: their entries take the longest.
	mostAhead        = 512
	mostEntriesAhead = 400
	mostKept         = 100_000
	// inFlight is how many questions one stream of listings may have without an answer.
	inFlight = 64
)

// Opener opens streams to the other host.
type Opener interface {
	Open(kind far.Kind) (io.ReadWriteCloser, error)
	// Connections tells how many there are, which grow in number as a job begins.
	Connections() int
}

// Tree is a tree on another host.
type Tree struct {
	peer    Opener
	path    string
	wanted  Wanted
	owners  owners
	asked   chan *listing
	ended   chan struct{}
	ending  sync.Once
	listing sync.WaitGroup

	mutex    sync.Mutex
	ahead    map[string]*listing
	kept     int // entries in what came ahead of need
	fetchers []*Fetcher
	err      error
}

// Wanted says what is wanted of a tree on another host.
type Wanted struct {
	// Attributes are extended ones.
	Attributes bool
	// Labels are SELinux contexts among them.
	Labels bool
	// Numeric says that users and groups are the same by their numbers, not by their names.
	Numeric bool
	// Followed says that symbolic links are what they lead to.
	Followed bool
	// Compression is how contents come.
	Compression far.Compression
	// Checksums are those that are asked for, and Cache says how the other host remembers them.
	Checksums *digest.Algorithm
	Cache     sumcache.Options
}

// OpenFar opens the root of a tree on another host. Its error is a Failure, or far.ErrLost.
func OpenFar(peer Opener, path string, wanted Wanted) (Directory, error) {
	t := &Tree{
		peer: peer, path: path, wanted: wanted, owners: owners{numeric: wanted.Numeric},
		asked: make(chan *listing, mostAhead), ended: make(chan struct{}), ahead: map[string]*listing{},
	}
	first, err := t.stream()
	if err != nil {
		return Directory{}, err
	}
	t.listing.Go(func() { t.list(first) })
	for range listers - 1 {
		t.listing.Go(func() {
			if stream, err := t.stream(); err != nil {
				t.fail(err)
			} else {
				t.list(stream)
			}
		})
	}
	root, err := t.open("")
	if err != nil {
		t.Close()
	}
	return root, err
}

// Close ends all streams.
func (t *Tree) Close() {
	t.ending.Do(func() { close(t.ended) })
	t.mutex.Lock()
	fetchers := t.fetchers
	t.fetchers = nil
	t.mutex.Unlock()
	for _, fetcher := range fetchers {
		fetcher.stream.Close()
	}
	t.listing.Wait()
}

// stream opens a stream that can be asked about the tree.
func (t *Tree) stream() (*stream, error) {
	opened, err := t.peer.Open(far.Data)
	if err != nil {
		return nil, err
	}
	s := &stream{Closer: opened, to: far.NewWriter(opened, nil), from: far.NewReader(opened)}
	bits := byte(0)
	if t.wanted.Attributes {
		bits |= wantAttributes
	}
	if t.wanted.Labels {
		bits |= wantLabels
	}
	if !t.wanted.Numeric {
		bits |= wantNames
	}
	if t.wanted.Followed {
		bits |= wantTargets
	}
	err = s.to.Text(t.path)
	if err == nil {
		err = s.to.Byte(bits)
	}
	if err == nil {
		err = s.to.Text(t.wanted.Compression.Codec)
	}
	if err == nil {
		err = s.to.Int(int64(t.wanted.Compression.Level))
	}
	if err == nil {
		err = s.to.Text(t.wanted.Checksums.Name)
	}
	if err == nil {
		err = sendOptions(s.to, t.wanted.Cache)
	}
	if err != nil {
		_ = opened.Close()
		return nil, lost(err)
	}
	return s, nil
}

// stream is one to ask questions by, whose answers come in their order. The first question goes with what begins the
// stream: the answer to that is not waited for.
type stream struct {
	io.Closer
	to    *far.Writer
	from  *far.Reader
	begun bool
}

// answer reads how the next answer begins.
func (s *stream) answer() error {
	if !s.begun {
		if err := readAnswer(s.from); err != nil {
			return err
		}
		s.begun = true
	}
	return readAnswer(s.from)
}

// Prefetch asks for the listing of a directory that will be opened soon, and tells whether there is room for another.
func (t *Tree) Prefetch(path string) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if _, asked := t.ahead[path]; asked {
		return true
	}
	if len(t.ahead) >= mostAhead || t.kept >= mostKept {
		return false
	}
	l := &listing{tree: t, path: path, arrived: make(chan struct{}), ahead: true}
	select {
	case t.asked <- l:
		t.ahead[path] = l
		return true
	default:
		return false
	}
}

// there asks whether there still is a tree, as checkThere tells it here.
func (t *Tree) there() error {
	s, err := t.stream()
	if err != nil {
		return err
	}
	defer s.Close()
	for _, send := range []func() error{
		func() error { return s.to.Byte(askThere) },
		func() error { return s.to.Text("") },
		s.to.Flush,
	} {
		if err := send(); err != nil {
			return lost(err)
		}
	}
	return s.answer()
}

// open gives the listing of a directory, which may have come already.
func (t *Tree) open(path string) (Directory, error) {
	t.mutex.Lock()
	l, asked := t.ahead[path]
	delete(t.ahead, path)
	t.mutex.Unlock()
	if asked {
		directory, err := t.wait(l)
		if !errors.Is(err, errTooMany) {
			return directory, err
		}
	}
	l = &listing{tree: t, path: path, arrived: make(chan struct{})}
	select {
	case t.asked <- l:
	case <-t.ended:
		return Directory{}, t.failure()
	}
	return t.wait(l)
}

// wait gives a directory whose listing was asked for.
func (t *Tree) wait(l *listing) (Directory, error) {
	select {
	case <-l.arrived:
	case <-t.ended:
		return Directory{}, t.failure()
	}
	if l.ahead {
		t.mutex.Lock()
		t.kept -= len(l.entries)
		t.mutex.Unlock()
	}
	if l.err != nil {
		return Directory{}, l.err
	}
	return Directory{far: l}, nil
}

// list asks for listings by one stream until the tree is closed.
func (t *Tree) list(s *stream) {
	defer s.Close()
	sent := make(chan *listing, inFlight)
	t.listing.Go(func() {
		defer s.Close()
		for l := range sent {
			l.err = l.read(s)
			if l.ahead {
				t.mutex.Lock()
				t.kept += len(l.entries)
				t.mutex.Unlock()
			}
			close(l.arrived)
			if isLost(l.err) {
				t.fail(l.err)
				break
			}
		}
		for range sent { // nobody waits for these: the tree has failed
		}
	})
	defer close(sent)
	for {
		select {
		case <-t.ended:
			return
		case l := <-t.asked:
			if err := t.ask(s, l); err != nil {
				t.fail(err)
				return
			}
			select {
			case sent <- l:
			case <-t.ended:
				return
			}
		}
	}
}

func (t *Tree) ask(s *stream, l *listing) error {
	question := byte(askList)
	if l.ahead {
		question = askAhead
	}
	if err := s.to.Byte(question); err != nil {
		return lost(err)
	}
	if err := s.to.Text(l.path); err != nil {
		return lost(err)
	}
	return lost(s.to.Flush())
}

// fail ends all that waits for the other host.
func (t *Tree) fail(err error) {
	t.mutex.Lock()
	if t.err == nil {
		t.err = err
	}
	t.mutex.Unlock()
	t.ending.Do(func() { close(t.ended) })
}

func (t *Tree) failure() error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.err != nil {
		return t.err
	}
	return far.ErrLost
}

// entryOf gives what is known of a file, for a question about it.
func (d Directory) entryOf(name string) (*entry, string, error) {
	found, err := d.far.find(name)
	return found, join(d.far.path, name), err
}
