// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// ErrDangling tells that a symbolic link that was to be followed leads nowhere, or to itself.
var ErrDangling = errors.New("the symbolic link leads nowhere")

// ErrLocked tells that another process has the lock.
var ErrLocked = errors.New("the directory is locked")

// IsNotExist tells whether the error says that there is no such entry.
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// IsExist tells whether the error says that something has the name already.
func IsExist(err error) bool { return errors.Is(err, fs.ErrExist) }

// Reason words an error of the system as the C library does, which differs by its capital.
func Reason(err error) string {
	text := err.Error()
	var errno syscall.Errno
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	if text == "" {
		return "Unknown error"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
