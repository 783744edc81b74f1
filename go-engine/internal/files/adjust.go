// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"fmt"
	"time"
)

const (
	// adjustEvery is how long a rate is measured before the number of workers is reconsidered.
	adjustEvery = 2 * time.Second
	// adjustRest is for how many measurements a number stays that has turned out to be the better one.
	adjustRest = 15
	// entryWorth is how many bytes an entry counts for besides its content, since small files are slow for what they are.
	entryWorth = 64 << 10
	mebibyte   = 1 << 20
	// worse is the share of the earlier rate below which a change has done harm.
	worse = 0.75
)

// adjuster decides how many workers are at work: fewer where the rate is below the threshold and fewer do no harm, more
// where it is above.
type adjuster struct {
	threshold float64 // bytes per second
	most      int
	allowed   int
	before    float64 // the rate with the number of before, while a change is being tried; else 0
	earlier   int     // that number
	rest      int     // measurements for which nothing changes
}

// next takes the rate of one measurement, and gives the number of workers from now on.
func (a *adjuster) next(rate float64) int {
	switch {
	case a.before > 0 && rate < a.before*worse:
		a.allowed, a.rest = a.earlier, adjustRest
		a.before = 0
	case a.rest > 0:
		a.rest--
	case rate < a.threshold && a.allowed > 1:
		a.try(rate, a.allowed/2)
	case rate >= a.threshold && a.allowed < a.most:
		a.try(rate, min(a.allowed*2, a.most))
	default:
		a.before = 0
	}
	return a.allowed
}

func (a *adjuster) try(rate float64, allowed int) {
	a.before, a.earlier, a.allowed = max(rate, 1), a.allowed, allowed
}

// adjust keeps the number of workers suited to the rate until the function that it returns is called.
func (j *syncJob) adjust() (stop func()) {
	parameters := j.parameters
	if parameters.threshold == 0 || parameters.workers() == 1 {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		most := parameters.workers()
		a := &adjuster{threshold: float64(parameters.threshold), most: most, allowed: most}
		ticks := time.NewTicker(adjustEvery)
		defer ticks.Stop()
		last := j.worth()
		for {
			select {
			case <-ended:
				return
			case <-ticks.C:
			}
			worth := j.worth()
			rate := float64(worth-last) / adjustEvery.Seconds()
			last = worth
			earlier, allowed := parameters.filesOf(a.allowed), parameters.filesOf(a.next(rate))
			j.queue.allow(a.allowed)
			if allowed != earlier {
				message := fmt.Sprintf("%d instead of %d files at a time: at %.2f MB/s, and a performance_threshold of %.2f MB/s",
					allowed, earlier, rate/mebibyte, a.threshold/mebibyte)
				j.Warning("parallelism_adjusted", message, "")
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// worth is what was done so far, in bytes.
func (j *syncJob) worth() int64 {
	return j.Meter.BytesDone.Load() + entryWorth*j.Meter.ItemsDone.Load()
}

// filesOf tells how many files are copied at a time by so many workers.
func (p *syncParameters) filesOf(workers int) int {
	return max(workers*p.parallelFiles/p.workers(), 1)
}
