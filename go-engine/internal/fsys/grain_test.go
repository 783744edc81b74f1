// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"testing"
	"time"
)

func TestWhatIsOverAStepIsCutOff(t *testing.T) {
	for _, each := range []struct {
		exact, held Time
		grain       time.Duration
	}{
		{Time{11, 123_456_789}, Time{11, 123_456_789}, 1},
		{Time{11, 123_456_789}, Time{11, 123_456_700}, 100},
		{Time{11, 123_456_789}, Time{11, 120_000_000}, 10 * time.Millisecond},
		{Time{11, 123_456_789}, Time{11, 0}, time.Second},
		{Time{11, 123_456_789}, Time{10, 0}, CoarsestGrain},
		{Time{-2, 500_000_000}, Time{-2, 0}, time.Second},
		{Time{-1, 500_000_000}, Time{-2, 0}, CoarsestGrain},
	} {
		if held := each.exact.In(each.grain); held != each.held {
			t.Errorf("%v is held in steps of %v as %v", each.exact, each.grain, held)
		}
	}
}
