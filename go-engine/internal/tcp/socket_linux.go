// SPDX-License-Identifier: GPL-3.0-or-later

package tcp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/wire"
)

// Socket is a connection that another process uses too. As long as it is open, so is the connection.
type Socket struct {
	mutex      sync.Mutex
	descriptor int // -1 when it is closed
	wanted     Wanted
	settings   []wire.Setting
}

// Open connects to the first address that answers. The options are set before, since the size of the window is told
// with the first packet.
func Open(ctx context.Context, endpoint Endpoint, wanted Wanted) (*Socket, error) {
	var local net.Addr
	if endpoint.BindAddress != "" {
		address, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(endpoint.BindAddress, "0"))
		if err != nil {
			return nil, fmt.Errorf("bind %s: %w", endpoint.BindAddress, err)
		}
		local = address
	}
	failed := errors.New("it has no address")
	for _, address := range endpoint.Addresses {
		socket := &Socket{descriptor: -1, wanted: wanted}
		dialer := net.Dialer{Timeout: endpoint.Timeout, LocalAddr: local, KeepAlive: -1, Control: socket.prepare(endpoint)}
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(endpoint.Port)))
		if err == nil {
			err = socket.keep(connection.(*net.TCPConn))
		}
		if err == nil {
			return socket, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("connect to host %s port %d: %s", endpoint.Name, endpoint.Port, reason(failed))
}

// reason words an error as ssh would.
func reason(err error) string {
	var number syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return unix.ETIMEDOUT.Error()
	}
	return err.Error()
}

// prepare sets what must be set before the connection is made.
func (s *Socket) prepare(endpoint Endpoint) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(descriptor uintptr) {
			if endpoint.KeepAlive {
				_ = unix.SetsockoptInt(int(descriptor), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			}
			s.settings = setBuffers(int(descriptor), s.wanted)
		})
	}
}

// keep takes the connection out of this process's poller: what it carries is another one's to read.
func (s *Socket) keep(connection *net.TCPConn) error {
	defer connection.Close()
	raw, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(descriptor uintptr) {
		s.descriptor, failed = unix.FcntlInt(descriptor, unix.F_DUPFD_CLOEXEC, 3)
	})
	return errors.Join(err, failed)
}

// Use calls use with the connection's descriptor.
func (s *Socket) Use(use func(descriptor int) error) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.descriptor < 0 {
		return os.ErrClosed
	}
	return use(s.descriptor)
}

// Close gives the connection up to the process that uses it.
func (s *Socket) Close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.descriptor >= 0 {
		_ = unix.Close(s.descriptor)
		s.descriptor = -1
	}
}

// Settings gives what has become of the options that were wanted, as they are once the other process has had its say.
func (s *Socket) Settings() []wire.Setting {
	settings := s.settings
	if s.wanted.NoDelay == nil {
		return settings
	}
	setting := wire.Setting{ID: noDelay, Wanted: *s.wanted.NoDelay, Before: false, Status: wire.OK}
	var value int
	err := s.Use(func(descriptor int) (err error) {
		value, err = unix.GetsockoptInt(descriptor, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		return err
	})
	switch {
	case err != nil:
		setting.Status, setting.Reason = wire.Unsupported, "it cannot be read: "+reason(err)
	case (value != 0) == *s.wanted.NoDelay:
		setting.After = *s.wanted.NoDelay
	default:
		setting.After = value != 0
		setting.Status, setting.Reason = wire.Unsupported, "ssh decides this itself, and always sends small packets at once"
	}
	return append(settings, setting)
}

// Info reads what the kernel knows.
func (s *Socket) Info() (info Info, err error) {
	err = s.Use(func(descriptor int) error {
		known, err := unix.GetsockoptTCPInfo(descriptor, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return err
		}
		info = Info{
			RoundTrip:      time.Duration(known.Rtt) * time.Microsecond,
			LeastRoundTrip: time.Duration(known.Min_rtt) * time.Microsecond,
			Acknowledged:   known.Bytes_acked,
			Received:       known.Bytes_received,
			Segments:       uint64(known.Data_segs_out),
			Retransmitted:  uint64(known.Total_retrans),
		}
		if known.Min_rtt == math.MaxUint32 { // none was measured yet
			info.RoundTrip, info.LeastRoundTrip = 0, 0
		}
		return nil
	})
	return info, err
}

// LimitUnsent keeps what the other process has written, and is not sent yet, to about so many bytes: what waits here
// cannot be held back any more.
func (s *Socket) LimitUnsent(size int) {
	_ = s.Use(func(descriptor int) error {
		return unix.SetsockoptInt(descriptor, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, size)
	})
}
