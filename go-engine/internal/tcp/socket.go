// SPDX-License-Identifier: GPL-3.0-or-later

package tcp

import (
	"errors"
	"time"
)

// ErrUnsupported tells that this platform has nothing of what this package is for.
var ErrUnsupported = errors.New("it can be had on Linux alone")

// Endpoint is where a connection leads.
type Endpoint struct {
	// Name is the host's in messages.
	Name string
	// Addresses are tried in turn.
	Addresses []string
	Port      int
	// BindAddress is this end's; empty for any.
	BindAddress string
	// KeepAlive lets TCP ask an idle peer now and then whether it is there.
	KeepAlive bool
	// Timeout is for each address; 0 for the system's own.
	Timeout time.Duration
}

// Wanted are the options of a connection that a task asks for; sizes in bytes, 0 for the system's own.
type Wanted struct {
	ReceiveBuffer, SendBuffer int
	// Force sets a size although it is lower than what the system's own tuning may reach.
	Force bool
	// NoDelay is nil if the task does not ask for it.
	NoDelay *bool
}

// IsNothing tells whether nothing is wanted.
func (w Wanted) IsNothing() bool {
	return w.ReceiveBuffer == 0 && w.SendBuffer == 0 && w.NoDelay == nil
}

// Info is what the kernel knows of a connection.
type Info struct {
	// RoundTrip is the smoothed one, and LeastRoundTrip the least that was seen of late.
	RoundTrip, LeastRoundTrip time.Duration
	// Acknowledged and Received are bytes since the connection began.
	Acknowledged, Received uint64
	// Segments were sent with data, Retransmitted those that were sent once more.
	Segments, Retransmitted uint64
}
