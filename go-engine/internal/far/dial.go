// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"context"
	"sync"
	"time"

	"migration.assistant/engine/internal/tcp"
	"migration.assistant/engine/internal/wire"
)

// Options say how the other host is reached.
type Options struct {
	// Name is the host's in messages.
	Name string
	// Command runs "migration-engine serve" there, as ssh does.
	Command []string
	// Password is sent before everything else, for what asks for one on the way; empty for none.
	Password string
	// Login is the password by which ssh gets in; nil where it needs none.
	Login *Login
	// Pool is where connections are kept for a following job; nil where they end with this one.
	Pool *Pool
	// Prelude is a file that is sent after that, for a host that gets its engine by the connection; empty for none.
	Prelude string
	// Connections is how many there are at most.
	Connections int
	// Timeout is for the first answer; 0 for none.
	Timeout time.Duration
	// KeepAlive is how often the other host hears of this one at least, and Silence after how long without that it may
	// take this one for gone; 0 for never.
	KeepAlive, Silence time.Duration
	// Window is how many bytes may be under way in one stream; 0 for the usual number.
	Window int64
	// Socket says what is asked of the connections themselves; nil for nothing.
	Socket *Socket
	// Sends says that this end sends the contents, not the other one.
	Sends bool
	// Report is told what becomes of that.
	Report Report
}

// Host is the engine on another host that this one has connected to.
type Host struct {
	*Peer
	options Options
	version string
	mutex   sync.Mutex
	links   []*link
	growing sync.WaitGroup
	closing chan struct{}
	ended   sync.Once
}

// growAfter is how long a job must take for further connections to be worth their logins.
const growAfter = 200 * time.Millisecond

// Dial connects to the other host. Its error is a Failure of code unreachable, in one line.
func Dial(ctx context.Context, version string, options Options) (*Host, error) {
	host := &Host{Peer: &Peer{keepAlive: options.KeepAlive, window: options.Window}, options: options, version: version, closing: make(chan struct{})}
	answer, err := host.connect(ctx, roleServe, "")
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err() // the job was ended meanwhile; that the host was not reached follows from it
	}
	if err != nil {
		return nil, wire.Fail(wire.Unreachable, "unable to reach %s: %w", options.Name, err)
	}
	host.Machine = answer.Machine
	if options.Socket.isNeeded() {
		host.useSocket()
	}
	if answer.Meeting != "" {
		host.growing.Go(func() { host.grow(ctx, answer.Meeting) })
	}
	return host, nil
}

// grow makes the further connections, which nothing waits for. A job that is done soon needs none.
func (h *Host) grow(ctx context.Context, meeting string) {
	select {
	case <-time.After(growAfter):
	case <-h.closing:
		return
	case <-ctx.Done():
		return
	}
	for range h.options.Connections - 1 {
		h.growing.Go(func() { _, _ = h.connect(ctx, roleJoin, meeting) })
	}
}

// Name gives the host's name in messages.
func (h *Host) Name() string { return h.options.Name }

// Close ends all connections, and the processes that carried them.
func (h *Host) Close() {
	h.ended.Do(func() { close(h.closing) })
	h.Peer.close()
	h.mutex.Lock()
	links := h.links
	h.links = nil
	h.mutex.Unlock()
	var group sync.WaitGroup
	for _, link := range links {
		group.Go(link.end)
	}
	group.Wait()
	h.growing.Wait()
}

// Reason tells in one line why the connection was lost, as far as the command said it.
func (h *Host) Reason() string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for _, link := range h.links {
		if said := link.errors.lastLine(); said != "" {
			return said
		}
	}
	return ""
}

// useSocket tells what has become of what was asked of the connections, and adapts the rate from now on.
func (h *Host) useSocket() {
	wanted := h.options.Socket
	opened := h.sockets()
	if len(opened) == 0 {
		wanted.tell(h.options.Report, nil)
		return
	}
	wanted.tell(h.options.Report, opened[0])
	if wanted.Interval > 0 {
		h.growing.Go(h.adapt)
	}
}

// sockets gives the connections that are open now.
func (h *Host) sockets() []*tcp.Socket {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var opened []*tcp.Socket
	for _, link := range h.links {
		if socket := link.socket(); socket != nil && link.greeted.Load() {
			opened = append(opened, socket)
		}
	}
	return opened
}

// connect starts the command once more, by a connection that was kept if there is one.
func (h *Host) connect(ctx context.Context, role, meeting string) (greeting, error) {
	slot := h.options.Pool.take()
	answer, err := h.connectBy(ctx, slot, role, meeting)
	if err != nil && slot != nil && slot.kept && ctx.Err() == nil {
		slot.discard(h.options.Command[0])
		answer, err = h.connectBy(ctx, slot, role, meeting)
	}
	if err != nil {
		slot.release()
	}
	return answer, err
}

// connectBy connects by a slot, which is the connection's for as long as that lasts; not so if it fails.
func (h *Host) connectBy(ctx context.Context, slot *slot, role, meeting string) (greeting, error) {
	link, err := startLink(slot.words(h.options.Command), h.options.Login, h.options.Socket)
	if err != nil {
		return greeting{}, err
	}
	h.mutex.Lock()
	select {
	case <-h.closing:
		h.mutex.Unlock()
		link.end()
		return greeting{}, ErrLost
	default:
		h.links = append(h.links, link)
	}
	h.mutex.Unlock()
	options := h.options
	options.Timeout = slot.patience(options.Timeout)
	answer, err := link.greet(ctx, options, greeting{
		Version: h.version, Role: role, Meeting: meeting, Silence: h.options.Silence.Seconds(), Window: h.options.Window,
	})
	if err == nil {
		err = h.add(link.pipe(), true)
	}
	if err != nil {
		link.end()
		return answer, err
	}
	go func() {
		<-link.ended
		slot.release()
	}()
	return answer, nil
}
