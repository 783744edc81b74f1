// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"migration.assistant/engine/internal/tcp"
)

const hasProxy = true

// proxy makes the TCP connection of one ssh. ssh starts a process for that (ProxyCommand), which gives its standard
// output to this one; by that, this one gives ssh a connection (ProxyUseFdpass).
type proxy struct {
	command  string
	listener *net.UnixListener
	cancel   context.CancelFunc
	done     chan struct{}

	mutex  sync.Mutex
	opened *tcp.Socket
	failed error
}

func openProxy(wanted *Socket) (*proxy, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, _, err := meetingPlace()
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{
		command: proxyWord(executable) + " connect " + proxyWord(address), listener: listener, cancel: cancel,
		done: make(chan struct{}),
	}
	go func() {
		defer close(p.done)
		for {
			asking, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			if isTrusted(asking) {
				p.serve(ctx, asking, wanted)
			}
			_ = asking.Close()
		}
	}()
	return p, nil
}

// serve makes a connection, and answers with what went wrong.
func (p *proxy) serve(ctx context.Context, asking *net.UnixConn, wanted *Socket) {
	defer context.AfterFunc(ctx, func() { _ = asking.Close() })()
	space := make([]byte, syscall.CmsgSpace(4))
	_, length, _, _, err := asking.ReadMsgUnix(make([]byte, 1), space)
	files := receivedFiles(space[:max(length, 0)])
	for _, file := range files {
		defer file.Close()
	}
	if err != nil || len(files) != 1 {
		return
	}
	socket, err := tcp.Open(ctx, wanted.Endpoint, wanted.Wanted)
	if err == nil {
		err = socket.Use(func(descriptor int) error {
			return syscall.Sendmsg(int(files[0].Fd()), []byte{0}, syscall.UnixRights(descriptor), nil, 0)
		})
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.failed = err
	if err != nil {
		_, _ = io.WriteString(asking, err.Error())
		return
	}
	if p.opened != nil {
		p.opened.Close()
	}
	p.opened = socket
}

// socket gives the connection that ssh has got; nil for none.
func (p *proxy) socket() *tcp.Socket {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.opened
}

// failure tells why ssh has got none.
func (p *proxy) failure() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.failed
}

// close is for when ssh has ended: as long as its connection is open here too, the other host does not see that.
func (p *proxy) close() {
	p.cancel()
	_ = p.listener.Close()
	<-p.done
	if socket := p.socket(); socket != nil {
		socket.Close()
	}
}

// HandOver is what ssh starts: it gives its standard output to the engine at that address, which makes a connection
// and gives it to ssh by that.
func HandOver(address string) error {
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return errors.New("the engine that runs this job is gone")
	}
	defer socket.Close()
	if !isTrusted(socket) {
		return errors.New("the engine that runs this job is another user's")
	}
	if _, _, err := socket.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(os.Stdout.Fd())), nil); err != nil {
		return err
	}
	answer, err := io.ReadAll(socket)
	if err == nil && len(answer) > 0 {
		err = errors.New(string(answer))
	}
	return err
}
