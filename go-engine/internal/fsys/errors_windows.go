// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// IsNotDirectory tells whether the error says that what stands for a directory is none.
func IsNotDirectory(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, windows.ERROR_DIRECTORY)
}

// IsLoop tells whether the error says that there is a symbolic link, which is not followed.
func IsLoop(err error) bool { return errors.Is(err, syscall.ELOOP) }

// IsNotPermitted tells whether the error says that only a privileged user may do this.
func IsNotPermitted(err error) bool { return errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD) }

// IsNoRoom tells whether there is no room left, so that no further entry can succeed.
func IsNoRoom(err error) bool {
	for _, full := range []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED} {
		if errors.Is(err, full) {
			return true
		}
	}
	return false
}

// IsOverQuota tells whether it is this user for whom there is no room left.
func IsOverQuota(err error) bool { return errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED) }

// IsTooBig tells of an error of setting an attribute whether its value is more than the file system takes of one.
func IsTooBig(error) bool { return false }

// IsUnsupported tells whether the error says that the file system cannot do what was asked for.
func IsUnsupported(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
