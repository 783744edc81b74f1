// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package fsys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// IsNotDirectory tells whether the error says that what stands for a directory is none.
func IsNotDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// IsLoop tells whether the error says that there is a symbolic link, which is not followed.
func IsLoop(err error) bool { return errors.Is(err, unix.ELOOP) }

// IsNotPermitted tells whether the error says that only a privileged user may do this.
func IsNotPermitted(err error) bool { return errors.Is(err, unix.EPERM) }

// IsNoRoom tells whether there is no room left, so that no further entry can succeed.
func IsNoRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// IsOverQuota tells whether it is this user for whom there is no room left.
func IsOverQuota(err error) bool { return errors.Is(err, unix.EDQUOT) }

// IsTooBig tells of an error of setting an attribute whether its value is more than the file system takes of one.
func IsTooBig(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ERANGE)
}

// IsUnsupported tells whether the error says that the file system cannot do what was asked for.
func IsUnsupported(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}
