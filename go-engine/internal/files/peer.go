// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"math"
	"sync"
	"time"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/tcp"
	"migration.assistant/engine/internal/wire"
)

// largestBuffer of a connection: the kernel keeps twice as much in a number of 31 bits.
const largestBuffer = 1<<30 - 1

// farParameters say which side of a job is on another host, and how that is reached. Without a command it is the one
// from which this job came.
type farParameters struct {
	side        string // source, destination, or none for neither
	options     far.Options
	compression far.Compression
	lockTimeout time.Duration // for another job that writes to the destination
	retries     int           // after a lost connection
	connected   bool          // there was a connection once
	numericIDs  bool          // owners are the same by their numbers
	buffer      int64         // bytes under way in one stream at most
	buffers     int64         // of that size in all streams together; 0 for any number
}

func readFarParameters(parameters *wire.Object) farParameters {
	object := parameters.Object("far")
	asDuration := func(name string) time.Duration {
		return time.Duration(object.Number(name, 0, false) * float64(time.Second))
	}
	var socket *far.Socket
	if object.Has("socket") {
		socket = readSocket(object.Object("socket"))
	}
	read := farParameters{
		side: object.Choice("side", "none", "source", "destination"),
		options: far.Options{
			Name:        string(object.Path("name", "the other host")),
			Password:    string(object.Path("password", "")),
			Prelude:     string(object.Path("prelude", "")),
			Connections: int(object.Integer("connections", 4, 1, 64)),
			Timeout:     asDuration("connect_timeout"),
			KeepAlive:   asDuration("keep_alive_interval"),
			Socket:      socket,
		},
		compression: far.Compression{
			Codec: object.Choice("compression", far.Codecs...),
			Level: int(object.Integer("compression_level", 0, 0, 22)),
		},
		lockTimeout: asDuration("lock_timeout"),
		numericIDs:  object.Bool("numeric_ids", false),
		retries:     int(object.Integer("retries", 0, 0, 1000)),
		buffer:      object.Integer("stream_buffer_size", 2<<20, smallestWindow, 1<<30),
		buffers:     object.Integer("stream_buffers", 0, 0, 1024),
	}
	read.options.Sends = read.side == "destination"
	if socket != nil {
		socket.Endpoint.Name = read.options.Name
		socket.Limit = parameters.Integer("bandwidth_limit", 0, 0, math.MaxInt64)
	}
	// This end notices first, so that it can say what happened.
	if patience := asDuration("read_timeout"); patience > 0 && read.options.KeepAlive > 0 {
		read.options.Silence = patience + read.options.KeepAlive
	}
	read.options.Login = readLogin(object)
	read.options.Pool = readPool(object)
	for _, word := range object.Paths("command") {
		read.options.Command = append(read.options.Command, string(word))
	}
	if read.side == "destination" && len(read.options.Command) == 0 {
		object.Report("command", "must not be empty")
	}
	return read
}

// smallestWindow is what a stream has at least.
const smallestWindow = 256 << 10

// window gives how much may be under way in each of so many streams.
func (p *farParameters) window(streams int) int64 {
	if p.buffers == 0 {
		return p.buffer
	}
	return max(min(p.buffer*p.buffers/int64(streams), p.buffer), smallestWindow)
}

// readLogin gives the password by which ssh gets in, nil if there is none.
func readLogin(parameters *wire.Object) *far.Login {
	if !parameters.Has("login") {
		return nil
	}
	object := parameters.Object("login")
	login := &far.Login{
		Password: string(object.RequiredPath("password")),
		Name:     string(object.RequiredPath("name")),
		Word:     string(object.Path("word", "assword")),
	}
	for _, start := range object.Paths("starts") {
		login.Starts = append(login.Starts, string(start))
	}
	return login
}

// readPool gives the place where connections are kept for a following job, nil if there is none.
func readPool(parameters *wire.Object) *far.Pool {
	if !parameters.Has("pool") {
		return nil
	}
	object := parameters.Object("pool")
	return &far.Pool{
		Directory: string(object.RequiredPath("directory")),
		Key:       string(object.RequiredPath("key")),
		Idle:      int(object.Integer("idle", 60, 1, 3600)),
	}
}

// readSocket reads what is asked of the connections, and where they lead.
func readSocket(object *wire.Object) *far.Socket {
	asDuration := func(name string) time.Duration {
		return time.Duration(object.Number(name, 0, false) * float64(time.Second))
	}
	socket := &far.Socket{
		Wanted: tcp.Wanted{
			ReceiveBuffer: int(object.Integer("receive_buffer", 0, 0, largestBuffer)),
			SendBuffer:    int(object.Integer("send_buffer", 0, 0, largestBuffer)),
			Force:         object.Bool("force_buffers", false),
		},
		Endpoint: tcp.Endpoint{
			Port:        int(object.Integer("port", 22, 1, 65535)),
			BindAddress: string(object.Path("bind_address", "")),
			KeepAlive:   object.Bool("keep_alive", true),
			Timeout:     asDuration("connect_timeout"),
		},
		Unavailable: string(object.Path("unavailable", "")),
		Interval:    asDuration("adapt_interval"),
	}
	for _, address := range object.Paths("addresses") {
		socket.Endpoint.Addresses = append(socket.Endpoint.Addresses, string(address))
	}
	if object.Has("no_delay") {
		wanted := object.Bool("no_delay", true)
		socket.NoDelay = &wanted
	}
	return socket
}

// openedSource is the root of the source, on this host or another.
type openedSource struct {
	root           origin.Directory
	isSeenFromHere bool // its path means the same here
	host           *far.Host
	leaving        sync.Once
}

// openSource opens the source, and connects to its host if that is another.
func openSource(ctx context.Context, session *operations.Session, parameters *syncParameters) (*openedSource, error) {
	if parameters.far.side != "source" {
		opened, err := origin.OpenRoot(parameters.source)
		if parameters.followSymlinks {
			opened = opened.Following()
		}
		return &openedSource{root: origin.Here(opened), isSeenFromHere: true}, err
	}
	source := &openedSource{}
	peer := session.Near
	if len(parameters.far.options.Command) > 0 {
		host, err := far.Dial(ctx, session.Version, parameters.far.dialing(session))
		if err != nil {
			return nil, err
		}
		parameters.far.connected = true
		source.host, peer = host, host.Peer
	}
	if peer == nil {
		return nil, wire.Fail(wire.BadJob, "parameters.far.command must not be empty")
	}
	source.isSeenFromHere = peer.Machine != "" && peer.Machine == far.Machine()
	var err error
	source.root, err = origin.OpenFar(peer, parameters.source, origin.Wanted{
		Attributes:  parameters.preserve.xattrs,
		Labels:      parameters.preserve.labels,
		Numeric:     parameters.far.numericIDs || source.isSeenFromHere || !fsys.KeepsOwners,
		Followed:    parameters.followSymlinks,
		Compression: parameters.far.compression,
		Checksums:   parameters.algorithm,
		Cache:       parameters.cache.For(session.DryRun),
	})
	if err != nil {
		err = source.explain(err)
		source.close()
		return nil, err
	}
	return source, nil
}

// leave ends the connection to another host, while others may wait for it. What is open on this host stays so: a
// descriptor that is in use must not be closed. It may be called more than once.
func (s *openedSource) leave() {
	s.leaving.Do(func() {
		if s.host != nil {
			s.host.Close()
		}
		if tree := s.root.Tree(); tree != nil {
			tree.Close()
		}
	})
}

// close ends what was opened, when nothing uses it any more.
func (s *openedSource) close() {
	s.leave()
	s.root.Close()
}

// explain makes an error of the connection one that tells the host, and what the command said last.
func (s *openedSource) explain(err error) error {
	if !isLost(err) {
		return err
	}
	if s.host == nil {
		return wire.Fail(wire.Unreachable, "%w", err)
	}
	return lostHost(s.host, err)
}

// dialing gives the options of a connection of that job.
func (p *farParameters) dialing(session *operations.Session) far.Options {
	options := p.options
	options.Report = session
	return options
}

func lostHost(host *far.Host, err error) error {
	if said := host.Reason(); said != "" {
		return wire.Fail(wire.Unreachable, "the connection to %s was lost: %s", host.Name(), said)
	}
	return wire.Fail(wire.Unreachable, "the connection to %s was lost: %w", host.Name(), err)
}
