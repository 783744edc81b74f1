// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listsByName tells whether the kernel lists attributes by directory and name, as Linux does from 6.13 on. The way by a
// path through /proc takes several times as long. What keeps system calls away from containers refuses those that it
// does not know with EPERM.
var listsByName = sync.OnceValue(func() bool {
	_, err := listAttributesAt(unix.AT_FDCWD, ".", nil)
	return err != unix.ENOSYS && err != unix.EPERM
})

// listAttributesAt is listxattrat without following a symbolic link. Without a buffer it gives the size that it takes.
func listAttributesAt(parent int, name string, buffer []byte) (int, error) {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	size, _, errno := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(parent), uintptr(unsafe.Pointer(path)),
		unix.AT_SYMLINK_NOFOLLOW, uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(size), nil
}
