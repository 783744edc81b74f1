// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "time"

// CoarsestGrain is the longest step in which a file system keeps times of modification.
const CoarsestGrain = 2 * time.Second

// In gives the time as a file system holds it that keeps steps of this length: what is over is cut off.
func (t Time) In(grain time.Duration) Time {
	if grain < time.Second {
		return Time{t.Seconds, t.Nanoseconds - t.Nanoseconds%int64(grain)}
	}
	step := int64(grain / time.Second)
	return Time{Seconds: t.Seconds - (t.Seconds%step+step)%step}
}
