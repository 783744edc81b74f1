// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"context"
	"encoding/binary"
	"io"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// smallestPiece is the least that is written at once at a slow pace.
const smallestPiece = 16 << 10

// pacer holds what all connections together send to a rate; to none as long as it was not told one.
type pacer struct {
	limiter atomic.Pointer[rate.Limiter]
}

// set changes the rate, in bytes per second; 0 for no limit.
func (p *pacer) set(limit float64) {
	if limit <= 0 {
		p.limiter.Store(nil)
		return
	}
	// About twenty pieces a second, so that the pace is even.
	p.limiter.Store(rate.NewLimiter(rate.Limit(limit), max(int(limit/20), smallestPiece)))
}

// paced is a connection whose writes keep to a pacer's rate.
type paced struct {
	io.ReadWriteCloser
	*pacer
}

// Write implements io.Writer.
func (p paced) Write(data []byte) (written int, err error) {
	for {
		limiter := p.limiter.Load()
		if limiter == nil {
			rest, err := p.ReadWriteCloser.Write(data[written:])
			return written + rest, err
		}
		piece := min(len(data)-written, limiter.Burst())
		if err := limiter.WaitN(context.Background(), piece); err != nil {
			return written, err
		}
		length, err := p.ReadWriteCloser.Write(data[written : written+piece])
		written += length
		if err != nil || written == len(data) {
			return written, err
		}
	}
}

// askPace opens a stream by which the other end is told how fast it may send.
func (p *Peer) askPace() (tell func(limit float64) error, err error) {
	stream, err := p.Open(pace)
	if err != nil {
		return nil, err
	}
	return func(limit float64) error {
		_, err := stream.Write(binary.BigEndian.AppendUint64(nil, uint64(limit)))
		return err
	}, nil
}

// obeyPace sends as fast as the other end says from now on.
func (p *Peer) obeyPace(stream io.ReadCloser) {
	defer stream.Close()
	for {
		var told [8]byte
		if _, err := io.ReadFull(stream, told[:]); err != nil {
			return
		}
		p.pacer.set(float64(binary.BigEndian.Uint64(told[:])))
	}
}
