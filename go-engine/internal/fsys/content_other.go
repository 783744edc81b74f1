// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

import (
	"bytes"
	"errors"
)

// hole is the least length of zeros that is worth a hole.
const hole = 16 << 10

var zeros [hole]byte

// Clone would make the file to share the data of from.
func Clone(_, _ File) error { return errors.ErrUnsupported }

// CannotClone tells whether the error says that another way must be taken.
func CannotClone(err error) bool { return err == errors.ErrUnsupported }

// CopyRange would let the kernel copy; it leaves all of it to be copied another way.
func CopyRange(_, _ File, _, _ int64, _ Step) (int64, error) { return 0, nil }

// CopySparse copies length bytes at offset to a file that has its size already, and leaves holes where there is
// nothing but zeros.
func CopySparse(to, from File, offset, length int64, buffer []byte, step Step) error {
	for limit := offset + length; offset < limit; {
		length, err := from.readFull(buffer[:min(limit-offset, int64(len(buffer)))], offset)
		if err != nil || length == 0 {
			return err
		}
		if err := writeData(to, buffer[:length], offset); err != nil {
			return err
		}
		if err := step(int64(length)); err != nil {
			return err
		}
		offset += int64(length)
	}
	return nil
}

// writeData writes the buffer, but for the zeros in it.
func writeData(to File, buffer []byte, offset int64) error {
	for len(buffer) > 0 {
		piece := buffer[:min(len(buffer), hole)]
		if !bytes.Equal(piece, zeros[:len(piece)]) {
			if err := to.WriteAt(piece, offset); err != nil {
				return err
			}
		}
		offset += int64(len(piece))
		buffer = buffer[len(piece):]
	}
	return nil
}

// NextData gives the next range of a file of the given size, from the offset on, that may be no hole: all of it.
func (f File) NextData(offset, size int64) (start, end int64, err error) { return offset, size, nil }
