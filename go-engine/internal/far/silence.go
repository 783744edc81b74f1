// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// listener is a connection that knows whether something was heard lately.
type listener struct {
	io.ReadWriteCloser
	heard atomic.Bool
}

// Read implements io.Reader.
func (l *listener) Read(buffer []byte) (int, error) {
	length, err := l.ReadWriteCloser.Read(buffer)
	l.heard.Store(true)
	return length, err
}

// hangUp ends the session when nothing was heard for so long. Else a host that was cut off would keep what it has
// locked until TCP gives up, after hours.
func (l *listener) hangUp(session *yamux.Session, silence time.Duration) {
	for {
		select {
		case <-session.CloseChan():
			return
		case <-time.After(silence):
			if !l.heard.Swap(false) {
				_ = session.Close()
				return
			}
		}
	}
}

// callOut lets the other end hear something as often as that, whatever else is sent. It does not mind how long an
// answer takes: what a slow link carries is a sign of life too.
func callOut(session *yamux.Session, interval time.Duration) {
	for {
		select {
		case <-session.CloseChan():
			return
		case <-time.After(interval):
			if _, err := session.Ping(); err != nil {
				return
			}
		}
	}
}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }
