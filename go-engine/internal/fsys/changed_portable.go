// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix && !darwin && !freebsd && !netbsd && (!linux || portable)

package fsys

import "syscall"

func changeTime(raw *syscall.Stat_t) Time {
	return Time{Seconds: int64(raw.Ctim.Sec), Nanoseconds: int64(raw.Ctim.Nsec)}
}
