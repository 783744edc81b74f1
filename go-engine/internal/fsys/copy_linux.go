// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// rangePiece is how much one copy_file_range may take: small enough to notice a cancelled job soon.
const rangePiece = 16 << 20

// Step is called with the length of each piece after it was copied; its error ends the copying.
type Step func(length int64) error

// Clone makes the file to share the data of from; it can do so only within one file system of the right type.
func Clone(to, from int) error { return unix.IoctlFileClone(to, from) }

// CannotClone tells whether the error says that another way must be taken.
func CannotClone(err error) bool {
	switch err {
	case unix.EXDEV, unix.EINVAL, unix.ENOSYS, unix.ENOTTY, unix.ENOTSUP, unix.ETXTBSY, unix.EPERM, unix.EBADF:
		return true
	}
	return false
}

// CopyRange lets the kernel copy length bytes at offset, and tells how many it did: less than length without an
// error means that the rest must be copied another way, or that the file ended.
func CopyRange(to, from int, offset, length int64, step Step) (int64, error) {
	done := int64(0)
	for done < length {
		piece := min(length-done, rangePiece)
		in, out := offset+done, offset+done
		copied, err := unix.CopyFileRange(from, &in, to, &out, int(piece), 0)
		if err == unix.EINTR {
			continue
		}
		if CannotClone(err) || err == nil && copied == 0 {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		done += int64(copied)
		if err := step(int64(copied)); err != nil {
			return done, err
		}
	}
	return done, nil
}

// CopyBuffered copies length bytes at offset through the buffer, or fewer if the file ends before.
func CopyBuffered(to, from int, offset, length int64, buffer []byte, step Step) error {
	for length > 0 {
		piece := buffer[:min(length, int64(len(buffer)))]
		read, err := readAt(from, piece, offset)
		if err != nil || read == 0 {
			return err
		}
		if err := writeAt(to, piece[:read], offset); err != nil {
			return err
		}
		if err := step(int64(read)); err != nil {
			return err
		}
		offset += int64(read)
		length -= int64(read)
	}
	return nil
}

// CopySparse copies a file of the given size and keeps its holes.
func CopySparse(to, from int, size int64, buffer []byte, step Step) error {
	if err := unix.Ftruncate(to, size); err != nil {
		return err
	}
	for end := int64(0); end < size; {
		start, err := unix.Seek(from, end, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil // nothing but a hole is left
		}
		if err == unix.EINVAL {
			return CopyBuffered(to, from, end, size-end, buffer, step)
		}
		if err != nil {
			return err
		}
		if end, err = unix.Seek(from, start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if end > size {
			end = size // it grows meanwhile
		}
		if start >= end {
			return nil
		}
		if err := CopyBuffered(to, from, start, end-start, buffer, step); err != nil {
			return err
		}
	}
	return nil
}

// Truncate sets the size of a file.
func Truncate(fd int, size int64) error { return unix.Ftruncate(fd, size) }

// SameContent compares the first size bytes of two files; each of the buffers is used for one of them.
func SameContent(one, other int, size int64, buffer, second []byte, step Step) (bool, error) {
	for offset := int64(0); offset < size; {
		length := int(min(size-offset, int64(len(buffer)), int64(len(second))))
		if err := step(int64(length)); err != nil {
			return false, err
		}
		first, err := readFull(one, buffer[:length], offset)
		if err != nil {
			return false, err
		}
		others, err := readFull(other, second[:length], offset)
		if err != nil {
			return false, err
		}
		if first != length || others != length || !bytes.Equal(buffer[:length], second[:length]) {
			return false, nil
		}
		offset += int64(length)
	}
	return true, nil
}

func readAt(fd int, buffer []byte, offset int64) (int, error) {
	for {
		length, err := unix.Pread(fd, buffer, offset)
		if err != unix.EINTR {
			return length, err
		}
	}
}

func readFull(fd int, buffer []byte, offset int64) (int, error) {
	done := 0
	for done < len(buffer) {
		length, err := readAt(fd, buffer[done:], offset+int64(done))
		if err != nil || length == 0 {
			return done, err
		}
		done += length
	}
	return done, nil
}

func writeAt(fd int, buffer []byte, offset int64) error {
	for len(buffer) > 0 {
		length, err := unix.Pwrite(fd, buffer, offset)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		buffer = buffer[length:]
		offset += int64(length)
	}
	return nil
}
