// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"errors"
	"io"
)

const (
	relayBuffer  = 256 << 10
	relayBuffers = 4
)

// errRelayBroken is what a writer gets once nobody reads any more.
var errRelayBroken = errors.New("the rows are wanted no more")

// relay hands what one server writes, row by row, to another that reads it by large pieces. It is a pipe with a few
// buffers, so that neither end waits for the other more than it must.
type relay struct {
	full, empty chan []byte
	made        int
	gathered    []byte
	piece, rest []byte
	failure     error         // of the writer; set before full is closed
	broken      chan struct{} // closed when the reader is gone
	discard     bool          // what is written then is thrown away, so that the writer's connection outlives it
	passed      func(bytes int64)
}

func newRelay(discard bool, passed func(bytes int64)) *relay {
	return &relay{
		full: make(chan []byte, relayBuffers), empty: make(chan []byte, relayBuffers),
		broken: make(chan struct{}), discard: discard, passed: passed,
	}
}

// Write gathers what comes.
func (r *relay) Write(data []byte) (int, error) {
	size := len(data)
	for len(data) > 0 {
		if r.gathered == nil && !r.takeEmpty() {
			return r.afterBreak(size)
		}
		n := min(len(data), cap(r.gathered)-len(r.gathered))
		r.gathered = append(r.gathered, data[:n]...)
		data = data[n:]
		if len(r.gathered) == cap(r.gathered) && !r.send() {
			return r.afterBreak(size)
		}
	}
	return size, nil
}

func (r *relay) afterBreak(size int) (int, error) {
	if r.discard {
		return size, nil
	}
	return 0, errRelayBroken
}

// takeEmpty waits for a buffer, and tells false if nobody reads any more.
func (r *relay) takeEmpty() bool {
	select {
	case r.gathered = <-r.empty:
		return true
	case <-r.broken:
		return false
	default:
	}
	if r.made < relayBuffers {
		r.made++
		r.gathered = make([]byte, 0, relayBuffer)
		return true
	}
	select {
	case r.gathered = <-r.empty:
		return true
	case <-r.broken:
		return false
	}
}

func (r *relay) send() bool {
	select {
	case <-r.broken:
		r.gathered = r.gathered[:0]
		return false
	default:
	}
	r.passed(int64(len(r.gathered)))
	r.full <- r.gathered // has room for all buffers that there are
	r.gathered = nil
	return true
}

// end is the writer's last word: all was written, or err kept it from that.
func (r *relay) end(err error) {
	if err == nil && len(r.gathered) > 0 {
		r.send()
	}
	r.failure = err
	close(r.full)
}

// Read gives what was gathered.
func (r *relay) Read(into []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.piece != nil {
			r.empty <- r.piece[:0]
			r.piece = nil
		}
		select {
		case piece, more := <-r.full:
			if !more {
				if r.failure != nil {
					return 0, r.failure
				}
				return 0, io.EOF
			}
			r.piece, r.rest = piece, piece
		case <-r.broken:
			return 0, errRelayBroken
		}
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// breakOff is the reader's last word.
func (r *relay) breakOff() { close(r.broken) }
