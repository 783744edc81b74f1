// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// rangePiece is how much one copy_file_range may take: small enough to notice a cancelled job soon.
const rangePiece = 16 << 20

// Clone makes the file to share the data of from; it can do so only within one file system of the right type.
func Clone(to, from File) error { return unix.IoctlFileClone(to.descriptor(), from.descriptor()) }

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
func CopyRange(to, from File, offset, length int64, step Step) (int64, error) {
	done := int64(0)
	for done < length {
		piece := min(length-done, rangePiece)
		in, out := offset+done, offset+done
		copied, err := unix.CopyFileRange(from.descriptor(), &in, to.descriptor(), &out, int(piece), 0)
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

// CopySparse copies length bytes at offset to a file that has its size already, and keeps the holes.
func CopySparse(to, from File, offset, length int64, buffer []byte, step Step) error {
	for limit := offset + length; offset < limit; {
		start, end, err := from.NextData(offset, limit)
		if err != nil || start >= end {
			return err
		}
		if err := CopyBuffered(to, from, start, end-start, buffer, step); err != nil {
			return err
		}
		offset = end
	}
	return nil
}

// Truncate sets the size of a file.
func (f File) Truncate(size int64) error { return unix.Ftruncate(f.descriptor(), size) }

// ReadAt reads at least one byte, unless the file has ended.
func (f File) ReadAt(buffer []byte, offset int64) (int, error) {
	for {
		length, err := unix.Pread(f.descriptor(), buffer, offset)
		if err != unix.EINTR {
			return length, err
		}
	}
}

// WriteAt writes the whole buffer.
func (f File) WriteAt(buffer []byte, offset int64) error {
	for len(buffer) > 0 {
		length, err := unix.Pwrite(f.descriptor(), buffer, offset)
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

// NextData gives the next range of a file of the given size, from the offset on, that is no hole. start is size where
// nothing but a hole is left.
func (f File) NextData(offset, size int64) (start, end int64, err error) {
	start, err = unix.Seek(f.descriptor(), offset, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO:
		return size, size, nil
	case err == unix.EINVAL:
		return offset, size, nil
	case err != nil:
		return 0, 0, err
	}
	if end, err = unix.Seek(f.descriptor(), start, unix.SEEK_HOLE); err != nil {
		return 0, 0, err
	}
	return min(start, size), min(end, size), nil // it may have grown meanwhile
}

// AllowHoles lets parts of the file that are never written take no room; here they never do.
func (f File) AllowHoles() {}
