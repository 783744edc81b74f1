// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"fmt"
	"time"

	"migration.assistant/engine/internal/tcp"
)

const (
	// settleTime is how long a new rate stands before it is measured what it does, and lookTime how long that takes.
	settleTime, lookTime = time.Second, time.Second
	lookEvery            = 100 * time.Millisecond
	// longestDrain is the most that is waited for a queue to empty.
	longestDrain = 15 * time.Second
	// leastQueue is how much longer than at best a round trip takes at least when a queue stands in the network. A host
	// that has nothing to say acknowledges after 40 ms.
	leastQueue = 50 * time.Millisecond
	// mostLost is the share of packets that may be lost without the rate being to blame.
	mostLost = 0.02
	// leastPackets is from how many on that share tells something.
	leastPackets = 50
	// lower and raise are what a rate is multiplied by.
	lower, raise = 0.8, 1.1
	// used is the share of a limit above which it is the limit that holds a transfer back.
	used = 0.8
	// leastRate in bytes per second, and leastShare of the best rate so far, are never gone below.
	leastRate, leastShare = 64 << 10, 1.0 / 8
	mebibyte              = 1 << 20
	// mostUnsent is what may wait in this host's own buffer, where it cannot be held back any more.
	mostUnsent = 128 << 10
)

// reading is what one look at the connections shows.
type reading struct {
	roundTrip      time.Duration // the least of the look, so that only a queue that stands counts; 0 where nothing tells
	lastRoundTrip  time.Duration // at the end of the look
	leastRoundTrip time.Duration // that the kernel has seen
	lost           float64       // share of the packets
	rate           float64       // what the network delivered, in bytes per second
}

// adapter decides the rate: it is lowered until no queue of ours stands in the network, and raised by small steps until
// one does; then it stays until the next look.
type adapter struct {
	interval time.Duration
	most     float64       // of the task, in bytes per second; 0 for no limit
	limit    float64       // now; 0 for none but the task's
	base     time.Duration // of a round trip without a queue
	best     float64       // delivered so far
	easing   bool          // the rate was lowered, and what that does is awaited
	// Before the last time that it was lowered for the packets that are lost.
	lostBefore, limitBefore float64
}

// next takes a reading, and gives the time until the next one begins.
func (a *adapter) next(r reading) time.Duration {
	a.learn(r)
	stands := r.roundTrip > 0 && r.roundTrip-a.base > max(leastQueue, a.base/2)
	isLossy := r.lost > mostLost
	if a.lostBefore > 0 && !stands && r.lost > a.lostBefore/2 {
		// They are lost as before: it is not the rate.
		a.limit, a.lostBefore, a.easing = a.limitBefore, 0, false
		return a.interval
	}
	a.lostBefore = 0
	floor := a.atMost(max(leastRate, a.best*leastShare))
	switch {
	case stands && a.limit > 0 && a.limit <= floor:
		// So little makes no queue: it is another's, or the way has become longer.
		a.base = r.roundTrip
	case (stands || isLossy) && r.rate >= leastRate:
		if !stands {
			a.lostBefore, a.limitBefore = r.lost, a.limit
		}
		delivered := r.rate
		if a.limit > 0 {
			delivered = min(delivered, a.limit)
		}
		a.limit, a.easing = a.atMost(max(delivered*lower, floor)), true
		drain := float64(max(r.lastRoundTrip-a.base, 0)) / (1 - lower)
		return settleTime + min(time.Duration(drain), longestDrain)
	case !a.easing && a.limit > 0 && r.rate >= a.limit*used && (a.most == 0 || a.limit < a.most):
		a.limit = a.atMost(a.limit * raise)
		return settleTime
	}
	a.easing = false
	return a.interval
}

func (a *adapter) learn(r reading) {
	if a.base == 0 {
		a.base = r.leastRoundTrip
	}
	if r.roundTrip > 0 && (a.base == 0 || r.roundTrip < a.base) {
		a.base = r.roundTrip
	}
	a.best = max(a.best, r.rate)
}

func (a *adapter) atMost(limit float64) float64 {
	if a.most > 0 {
		return min(limit, a.most)
	}
	return limit
}

// adapt keeps the rate suited to the network until the host is closed.
func (h *Host) adapt() {
	wanted := h.options.Socket
	tell := func(limit float64) error {
		h.pacer.set(limit)
		return nil
	}
	if !h.options.Sends {
		asked, err := h.askPace()
		if err != nil {
			return // the connection is lost, which others tell
		}
		tell = asked
	}
	a := &adapter{interval: wanted.Interval, most: float64(wanted.Limit)}
	look := &look{sends: h.options.Sends, last: map[*tcp.Socket]tcp.Info{}}
	for wait := min(settleTime, wanted.Interval); h.pause(wait); {
		seen, isOpen := look.take(h)
		if !isOpen {
			return
		}
		before := a.limit
		wait = a.next(seen)
		if a.limit == before {
			continue
		}
		if tell(a.limit) != nil {
			return
		}
		h.options.Report.Warning("bandwidth_adjusted", fmt.Sprintf("%s instead of %s: %.2f MB/s arrived, a round trip took %s, %.1f %% was lost",
			rateText(a.limit), rateText(before), seen.rate/mebibyte, tripText(seen.roundTrip, a.base), seen.lost*100), "")
	}
}

func rateText(limit float64) string {
	if limit == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.2f MB/s", limit/mebibyte)
}

func tripText(now, base time.Duration) string {
	if now == 0 {
		return "an unknown time"
	}
	return fmt.Sprintf("%d ms, %d at best", now.Milliseconds(), base.Milliseconds())
}

// pause waits; false where the host is closed meanwhile.
func (h *Host) pause(wait time.Duration) bool {
	select {
	case <-time.After(wait):
		return true
	case <-h.closing:
		return false
	}
}

// look measures what the connections do.
type look struct {
	sends bool
	last  map[*tcp.Socket]tcp.Info
}

// take measures for lookTime; false where the host is closed meanwhile.
func (l *look) take(h *Host) (seen reading, isOpen bool) {
	var delivered, sent, resent float64
	began := time.Now()
	l.sum(h, func(tcp.Info, tcp.Info) {})
	for time.Since(began) < lookTime {
		if !h.pause(lookEvery) {
			return seen, false
		}
		l.sum(h, func(last, now tcp.Info) {
			if l.sends {
				delivered += float64(now.Acknowledged - last.Acknowledged)
			} else {
				delivered += float64(now.Received - last.Received)
			}
			sent += float64(now.Segments - last.Segments)
			resent += float64(now.Retransmitted - last.Retransmitted)
			// A round trip is measured when something of ours is acknowledged.
			if now.Acknowledged != last.Acknowledged && now.RoundTrip > 0 {
				seen.lastRoundTrip = now.RoundTrip
				if seen.roundTrip == 0 || now.RoundTrip < seen.roundTrip {
					seen.roundTrip = now.RoundTrip
				}
			}
			if least := now.LeastRoundTrip; least > 0 && (seen.leastRoundTrip == 0 || least < seen.leastRoundTrip) {
				seen.leastRoundTrip = least
			}
		})
	}
	seen.rate = delivered / time.Since(began).Seconds()
	if sent >= leastPackets {
		seen.lost = resent / sent
	}
	return seen, true
}

// sum calls add for each connection with what was known of it and what is.
func (l *look) sum(h *Host, add func(last, now tcp.Info)) {
	for _, socket := range h.sockets() {
		now, err := socket.Info()
		if err != nil {
			continue
		}
		last, isKnown := l.last[socket]
		if isKnown {
			add(last, now)
		} else if l.sends {
			socket.LimitUnsent(mostUnsent)
		}
		l.last[socket] = now
	}
}
