// SPDX-License-Identifier: GPL-3.0-or-later

//go:build darwin || freebsd || netbsd

package fsys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// KeepsAccessLists says whether access control lists are kept: here they have calls of their own.
const KeepsAccessLists = false

// noAttribute is the error for an extended attribute that is not there.
const noAttribute = unix.ENOATTR

func changeTime(raw *syscall.Stat_t) Time {
	return Time{Seconds: int64(raw.Ctimespec.Sec), Nanoseconds: int64(raw.Ctimespec.Nsec)}
}
