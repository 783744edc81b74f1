// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// directPiece is how much is read and written at once. Nobody reads ahead here, so that it is much.
const directPiece = 1 << 20

// CopyDirect copies length bytes at offset past the system's cache of files, which keeps what others need. It gives how
// many it copied; the rest, all where the file systems cannot do that, must be copied another way.
func CopyDirect(to, from File, offset, length int64, step Step) (int64, error) {
	start, end := offset, (offset+length)&^(DirectUnit-1)
	if start%DirectUnit != 0 || start >= end {
		return 0, nil
	}
	in, err := openDirect(from, unix.O_RDONLY)
	if err != nil {
		return 0, nil
	}
	defer closeDescriptor(in)
	out, err := openDirect(to, unix.O_WRONLY)
	if err != nil {
		return 0, nil
	}
	defer closeDescriptor(out)
	buffer := directBuffer(int(min(end-start, directPiece)))
	for offset = start; offset < end; {
		piece := buffer[:min(int64(len(buffer)), end-offset)]
		read, err := unix.Pread(in, piece, offset)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EINVAL && offset == start { // the file system takes larger units, or knows none
			return 0, nil
		}
		if err != nil {
			return offset - start, err
		}
		whole := read &^ (DirectUnit - 1)
		for written := 0; written < whole; {
			count, err := unix.Pwrite(out, piece[written:whole], offset+int64(written))
			if err == unix.EINVAL {
				return offset - start, nil
			}
			if err != nil && err != unix.EINTR {
				return offset - start, err
			}
			written += max(count, 0)
		}
		if err := step(int64(whole)); err != nil {
			return offset - start, err
		}
		offset += int64(whole)
		if whole < len(piece) { // the file ends here
			break
		}
	}
	return offset - start, nil
}

// openDirect opens the file once more: what it is opened for already is shared with others.
func openDirect(file File, flags int) (int, error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(file.descriptor()), flags|unix.O_DIRECT|unix.O_CLOEXEC, 0)
}

func directBuffer(size int) []byte {
	raw := make([]byte, size+DirectUnit)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) & (DirectUnit - 1))
	return raw[skip : skip+size]
}
