// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"
)

// table is also what the fallback's controller is tested by.
type table struct {
	Cases []struct {
		Name  string
		Most  float64
		Steps []struct{ Trip, Last, Least, Lost, Rate, Limit, Wait float64 }
	}
}

func milliseconds(number float64) time.Duration {
	return time.Duration(number * float64(time.Millisecond))
}

func TestTheRateFollowsTheNetwork(t *testing.T) {
	content, err := os.ReadFile("testdata/bandwidth.json")
	if err != nil {
		t.Fatal(err)
	}
	var known table
	if err := json.Unmarshal(content, &known); err != nil {
		t.Fatal(err)
	}
	if len(known.Cases) == 0 {
		t.Fatal("there are no cases")
	}
	for _, test := range known.Cases {
		t.Run(test.Name, func(t *testing.T) {
			a := &adapter{interval: 300 * time.Second, most: test.Most * mebibyte}
			for index, step := range test.Steps {
				wait := a.next(reading{
					roundTrip: milliseconds(step.Trip), lastRoundTrip: milliseconds(step.Last),
					leastRoundTrip: milliseconds(step.Least), lost: step.Lost, rate: step.Rate * mebibyte,
				})
				if limit := a.limit / mebibyte; math.Abs(limit-step.Limit) > 1e-6 || math.Abs(wait.Seconds()-step.Wait) > 1e-3 {
					t.Fatalf("step %d: a limit of %g for %v, not %g for %g s", index+1, limit, wait, step.Limit, step.Wait)
				}
			}
		})
	}
}

// A queue of any depth is gone in the end, most of the link is used, and the rate never falls to nothing.
func TestTheRateSettlesBelowThatOfTheLink(t *testing.T) {
	for _, capacity := range []float64{0.5, 2, 10, 100} {
		for _, depth := range []float64{0.2, 1, 5} { // seconds that the link's buffer holds
			a := &adapter{interval: 20 * time.Second}
			queue, used, total := depth, 0.0, 0.0
			for elapsed := 0.0; elapsed < 600; {
				rate := capacity * mebibyte
				if queue == 0 && a.limit > 0 {
					rate = min(rate, a.limit)
				}
				trip := 20*time.Millisecond + milliseconds(queue*1000)
				wait := a.next(reading{
					roundTrip: trip, lastRoundTrip: trip, leastRoundTrip: 20 * time.Millisecond, rate: rate,
				})
				sent := math.Inf(1)
				if a.limit > 0 {
					sent = a.limit / mebibyte / capacity
				}
				span := wait.Seconds() + lookTime.Seconds()
				queue = min(max(queue+(sent-1)*span, 0), depth)
				elapsed += span
				if elapsed > 120 {
					used += min(sent, 1) * span
					total += span
				}
			}
			if share := used / total; share < 0.7 || queue > 0.6 {
				t.Errorf("a link of %g MB/s and %g s is used to %.0f %%, with a queue of %.2f s", capacity, depth, 100*share, queue)
			}
		}
	}
}
