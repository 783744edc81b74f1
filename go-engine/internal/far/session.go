// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// ErrLost tells that the connection to the other host is gone.
var ErrLost = errors.New("the connection to the other host was lost")

const (
	// usualWindow is how much may be under way in one stream: its share of a long fast link.
	usualWindow = 2 << 20
	// patience is for one write to a connection: a slow link may take its time, and that a host is gone is for ssh to
	// find out.
	patience = 30 * time.Minute
)

// Peer is the engine on the other host, by one or more connections.
type Peer struct {
	// Machine names what the other engine runs on, as Machine does for this one.
	Machine string

	keepAlive time.Duration // how often the other end hears of this one; 0 for never
	silence   time.Duration // after which the other end is gone if nothing is heard of it; 0 for never
	window    int64         // bytes under way in one stream; 0 for the usual number
	pacer     pacer         // of what this end sends
	obeys     bool          // the other end says how fast that is

	mutex    sync.Mutex
	sessions []*yamux.Session
	accept   func(kind Kind, stream io.ReadWriteCloser)
	closed   bool
}

// Kind is what a stream is for.
type Kind byte

// The kinds of streams.
const (
	// Data is for questions about a tree, which the end answers that accepts the stream.
	Data Kind = 'd'
	// Job is for one job, which the end carries out that accepts the stream.
	Job Kind = 'j'
	// pace is for how fast the end may send that accepts the stream.
	pace Kind = 'r'
)

// pipe is a connection by two files.
type pipe struct {
	io.Reader
	io.Writer
	close func() error
}

func (p pipe) Close() error { return p.close() }

// add makes one more connection part of the peer. near says that this end has made it.
func (p *Peer) add(connection io.ReadWriteCloser, near bool) error {
	config := yamux.DefaultConfig()
	config.AcceptBacklog = 1024
	config.EnableKeepAlive = false
	config.ConnectionWriteTimeout = patience
	config.StreamOpenTimeout = 0
	config.MaxStreamWindowSize = uint32(cmp.Or(p.window, usualWindow))
	config.LogOutput = io.Discard
	begin := yamux.Server
	if near {
		begin = yamux.Client
	}
	heard := &listener{ReadWriteCloser: paced{connection, &p.pacer}}
	session, err := begin(heard, config)
	if err != nil {
		return err
	}
	if p.keepAlive > 0 {
		go callOut(session, p.keepAlive)
	}
	if p.silence > 0 {
		go heard.hangUp(session, p.silence)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		_ = session.Close()
		return ErrLost
	}
	p.sessions = append(p.sessions, session)
	if p.accept != nil {
		go p.serve(session)
	}
	return nil
}

// Accept calls handle, in a goroutine of its own, for each stream that the other end opens.
func (p *Peer) Accept(handle func(kind Kind, stream io.ReadWriteCloser)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.accept = handle
	for _, session := range p.sessions {
		go p.serve(session)
	}
}

func (p *Peer) serve(session *yamux.Session) {
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		go func() {
			var kind [1]byte
			if _, err := io.ReadFull(stream, kind[:]); err != nil {
				_ = stream.Close()
				return
			}
			if Kind(kind[0]) == pace && p.obeys {
				p.obeyPace(stream)
				return
			}
			p.accept(Kind(kind[0]), stream)
		}()
	}
}

// Open opens a stream, over the connection that has the fewest.
func (p *Peer) Open(kind Kind) (io.ReadWriteCloser, error) {
	p.mutex.Lock()
	if len(p.sessions) == 0 {
		p.mutex.Unlock()
		return nil, ErrLost
	}
	session := slices.MinFunc(p.sessions, func(one, other *yamux.Session) int { return one.NumStreams() - other.NumStreams() })
	p.mutex.Unlock()
	stream, err := session.OpenStream()
	if err == nil {
		_, err = stream.Write([]byte{byte(kind)})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	return stream, nil
}

// Connections tells how many connections there are.
func (p *Peer) Connections() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.sessions)
}

// Wait waits until the first connection has ended.
func (p *Peer) Wait() {
	p.mutex.Lock()
	session := p.sessions[0]
	p.mutex.Unlock()
	<-session.CloseChan()
}

// close ends all connections.
func (p *Peer) close() {
	p.mutex.Lock()
	sessions := p.sessions
	p.closed = true
	p.mutex.Unlock()
	var group sync.WaitGroup
	for _, session := range sessions {
		group.Go(func() { _ = session.Close() })
	}
	group.Wait()
}
