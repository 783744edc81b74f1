// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
)

// Fetcher gets the contents of files from another host, for one goroutine. What is asked for at once comes in one go:
// nothing is waited for in between.
type Fetcher struct {
	tree    *Tree
	stream  *stream
	asked   []*content // whose answers have not been read
	current *content   // the last whose answer was begun
	another *Fetcher   // for what comes in between
	known   int        // how many connections there were when the stream was opened
}

// Fetcher gives one, which may have served another goroutine.
func (t *Tree) Fetcher() (*Fetcher, error) {
	t.mutex.Lock()
	if count := len(t.fetchers); count > 0 {
		f := t.fetchers[count-1]
		t.fetchers = t.fetchers[:count-1]
		t.mutex.Unlock()
		return f, nil
	}
	t.mutex.Unlock()
	f := &Fetcher{tree: t}
	return f, f.ready()
}

// Release gives a fetcher back.
func (f *Fetcher) Release() {
	if f.another != nil {
		f.another.Release()
		f.another = nil
	}
	if f.stream == nil || f.skip(len(f.asked)) != nil || f.current != nil && isLost(f.current.discard()) || f.stream == nil {
		f.drop()
		return
	}
	f.tree.mutex.Lock()
	defer f.tree.mutex.Unlock()
	f.tree.fetchers = append(f.tree.fetchers, f)
}

// drop closes the stream, with all answers that were not read.
func (f *Fetcher) drop() {
	if f.stream != nil {
		_ = f.stream.Close()
	}
	f.stream, f.asked, f.current = nil, nil, nil
}

// ready opens a stream if there is none, or once more when there are more connections, so that all of them share the
// work.
func (f *Fetcher) ready() (err error) {
	if f.IsOutdated() && f.isIdle() {
		f.drop()
	}
	if f.stream == nil {
		f.known = f.tree.peer.Connections()
		f.stream, err = f.tree.stream()
	}
	return err
}

// IsOutdated tells whether there are more connections by now than when the stream was opened. With nothing left to be
// read of that, the next question goes by a new one.
func (f *Fetcher) IsOutdated() bool { return f.stream != nil && f.known != f.tree.peer.Connections() }

// isIdle tells whether nothing is left to be read.
func (f *Fetcher) isIdle() bool { return len(f.asked) == 0 && (f.current == nil || f.current.done) }

// aside gives the stream for questions that are answered before those that were asked already.
func (f *Fetcher) aside() (*stream, error) {
	if f.isIdle() {
		return f.stream, f.ready()
	}
	if f.another == nil {
		var err error
		if f.another, err = f.tree.Fetcher(); err != nil {
			return nil, err
		}
	}
	return f.another.stream, f.another.ready()
}

// errDropped is an error of this program: an answer is wanted after the stream has gone on.
var errDropped = errors.New("the answer of the other host is gone")

// content is a file on another host, or a range of it, that was asked for.
type content struct {
	fetcher *Fetcher
	path    string
	entry   *entry
	start   int64
	length  int64     // -1 for all that follows
	known   *Known    // what need not be sent; nil for nothing
	stat    fsys.Stat // when it was opened; once all of it is read, what it was then
	opened  bool
	done    bool
}

// Ask asks for a file of a directory, all of it or length bytes from start on. Flush sends what was asked.
func (f *Fetcher) Ask(d Directory, name string, start, length int64) error {
	return f.AskDelta(d, name, start, length, nil)
}

// AskDelta is Ask for a range of which something is known, unless that is nil.
func (f *Fetcher) AskDelta(d Directory, name string, start, length int64, known *Known) error {
	found, path, err := d.entryOf(name)
	if err == nil {
		err = f.ready()
	}
	if err != nil {
		return err
	}
	question := byte(askFile)
	if known != nil {
		question = askDelta
	}
	if err := askAbout(f.stream, question, path, &found.stat, start, length); err != nil {
		return err
	}
	if known != nil {
		if err := f.stream.to.Text(string(known.digests)); err != nil {
			return lost(err)
		}
		if err := f.stream.to.Uint(known.seed); err != nil {
			return lost(err)
		}
	}
	f.asked = append(f.asked, &content{fetcher: f, path: path, entry: found, start: start, length: length, known: known})
	return nil
}

// Flush sends what was asked.
func (f *Fetcher) Flush() error {
	if f.stream == nil {
		return nil
	}
	return lost(f.stream.to.Flush())
}

func askAbout(s *stream, question byte, path string, stat *fsys.Stat, start, length int64) error {
	if err := s.to.Byte(question); err != nil {
		return lost(err)
	}
	if err := s.to.Text(path); err != nil {
		return lost(err)
	}
	identity := stat.Identity()
	for _, value := range [...]uint64{identity.Device, identity.Number, uint64(start), uint64(length)} {
		if err := s.to.Uint(value); err != nil {
			return lost(err)
		}
	}
	return nil
}

// Open gives a file, all of it or length bytes from start on: the answer if that was asked for, else it is asked for
// now. Answers before it are passed over.
func (f *Fetcher) Open(d Directory, name string, start, length int64) (File, error) {
	_, path, err := d.entryOf(name)
	if err != nil {
		return File{}, err
	}
	for index, asked := range f.asked {
		if asked.path == path && asked.start == start && asked.length == length {
			if err := f.skip(index); err != nil {
				return File{}, err
			}
			return f.next()
		}
	}
	if !f.isIdle() {
		if _, err := f.aside(); err != nil {
			return File{}, err
		}
		return f.another.Open(d, name, start, length)
	}
	if err := f.Ask(d, name, start, length); err != nil {
		return File{}, err
	}
	if err := f.Flush(); err != nil {
		return File{}, err
	}
	return f.next()
}

// next reads the beginning of the next answer.
func (f *Fetcher) next() (File, error) {
	c := f.asked[0]
	if f.current != nil {
		if err := f.current.discard(); isLost(err) {
			return File{}, err
		}
		if f.stream == nil {
			return File{}, errDropped
		}
	}
	f.asked, f.current = f.asked[1:], c
	if err := c.open(); err != nil {
		return File{}, err
	}
	return File{far: c}, nil
}

// skip passes over so many answers.
func (f *Fetcher) skip(count int) error {
	for range count {
		if len(f.asked) == 0 {
			return nil // the stream was dropped
		}
		file, err := f.next()
		if err == nil {
			err = file.far.discard()
		}
		if isLost(err) {
			return err
		}
	}
	return nil
}

// end gives the offset at which the answer ends.
func (c *content) end() int64 {
	if c.length < 0 {
		return c.stat.Size()
	}
	return min(c.stat.Size(), c.start+c.length)
}

func isLost(err error) bool { return errors.Is(err, far.ErrLost) }

func (c *content) open() error {
	stream := c.fetcher.stream
	if err := stream.answer(); err != nil {
		c.done = true
		return err
	}
	var err error
	c.stat, err = c.fetcher.tree.owners.readStat(stream.from)
	c.opened = true
	return lost(err)
}

// discard reads what is left of the answer.
func (c *content) discard() error {
	if c.done || !c.opened {
		return nil
	}
	nothing := func([]byte, int64) error { return nil }
	return c.parts(nothing, nothing, func(int64) {})
}

// CopyTo writes what was asked for to a file, at the offset that it has. hole tells of bytes that are not written. step
// is called as by fsys.CopyBuffered for what has come, and known for what is the same as before.
func (f File) CopyTo(to fsys.File, step fsys.Step, known func(length int64) error, hole func(length int64)) error {
	put := func(step fsys.Step) func(data []byte, offset int64) error {
		return func(data []byte, offset int64) error {
			if err := to.WriteAt(data, offset); err != nil {
				return err
			}
			return step(int64(len(data)))
		}
	}
	return f.far.parts(put(step), put(known), hole)
}

// dear is how much of an answer that nobody wants is not read to its end: the stream is closed instead.
const dear = 1 << 20

// parts reads all parts, and checks that they arrived as they were sent. Where take fails the rest is read all the
// same, so that the next answer can be.
func (c *content) parts(take, takeKnown func(data []byte, offset int64) error, hole func(int64)) error {
	if c.done {
		return errDropped
	}
	from, offset, sum := c.fetcher.stream.from, c.start, uint32(0)
	c.done = true
	var failed error
	for {
		kind, err := from.ReadByte()
		if err != nil {
			return lost(err)
		}
		switch kind {
		case partData:
			var header [4]byte
			if err := readFull(from, header[:]); err != nil {
				return lost(err)
			}
			for left := int64(binary.LittleEndian.Uint32(header[:])); left > 0; {
				data, err := from.Some(left)
				if err != nil {
					return lost(err)
				}
				sum = crc32.Update(sum, crc32.IEEETable, data)
				if failed == nil {
					failed = take(data, offset)
				}
				if failed != nil && c.end()-offset > dear {
					c.fetcher.drop()
					return failed
				}
				offset += int64(len(data))
				left -= int64(len(data))
			}
		case partSame:
			length, err := from.Uint()
			if err != nil {
				return lost(err)
			}
			if c.known == nil || int64(length) > c.end()-offset {
				return lost(errors.New("the other engine takes for known what is not"))
			}
			if failed == nil {
				sum, failed = c.known.copyTo(offset, int64(length), sum, takeKnown)
			}
			offset += int64(length)
		case partHole:
			length, err := from.Uint()
			if err != nil {
				return lost(err)
			}
			hole(int64(length))
			offset += int64(length)
		case partEnd:
			expected, err := from.Uint()
			if err != nil {
				return lost(err)
			}
			if c.stat, err = c.fetcher.tree.owners.readStat(from); err != nil {
				return lost(err)
			}
			if failed == nil && uint32(expected) != sum {
				failed = fmt.Errorf("the data was damaged on its way: its CRC-32 is %08x instead of %08x", sum, uint32(expected))
			}
			return failed
		case partFail:
			code, err := from.ReadByte()
			if err != nil {
				return lost(err)
			}
			err = readFailure(from, code)
			if failed == nil || isLost(err) {
				failed = err
			}
			return failed
		default:
			return lost(fmt.Errorf("the other engine sent a part of the unknown kind %d", kind))
		}
	}
}

func readFull(from *far.Reader, into []byte) error {
	for len(into) > 0 {
		part, err := from.Some(int64(len(into)))
		if err != nil {
			return err
		}
		into = into[copy(into, part):]
	}
	return nil
}
