// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"bytes"
	"io"
)

// DirectUnit is what the places, lengths and buffers of direct reads and writes are multiples of: the largest block that
// disks have.
const DirectUnit = 4096

// Step is called with the length of each piece after it was copied; its error ends the copying.
type Step func(length int64) error

// CopyBuffered copies length bytes at offset through the buffer, or fewer if the file ends before.
func CopyBuffered(to, from File, offset, length int64, buffer []byte, step Step) error {
	for length > 0 {
		piece := buffer[:min(length, int64(len(buffer)))]
		read, err := from.ReadAt(piece, offset)
		if err != nil || read == 0 {
			return err
		}
		if err := to.WriteAt(piece[:read], offset); err != nil {
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

// Stream reads and writes a file from an offset on, which it moves.
type Stream struct {
	File   File
	Offset int64
}

// Read implements io.Reader.
func (s *Stream) Read(buffer []byte) (int, error) {
	length, err := s.File.ReadAt(buffer, s.Offset)
	if err == nil && length == 0 && len(buffer) > 0 {
		err = io.EOF
	}
	s.Offset += int64(length)
	return length, err
}

// Write implements io.Writer.
func (s *Stream) Write(data []byte) (int, error) {
	if err := s.File.WriteAt(data, s.Offset); err != nil {
		return 0, err
	}
	s.Offset += int64(len(data))
	return len(data), nil
}

// SameContent compares the first size bytes of two files; each of the buffers is used for one of them.
func SameContent(one, other File, size int64, buffer, second []byte, step Step) (bool, error) {
	for offset := int64(0); offset < size; {
		length := int(min(size-offset, int64(len(buffer)), int64(len(second))))
		if err := step(int64(length)); err != nil {
			return false, err
		}
		first, err := one.readFull(buffer[:length], offset)
		if err != nil {
			return false, err
		}
		others, err := other.readFull(second[:length], offset)
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

// readFull fills the buffer, unless the file ends before.
func (f File) readFull(buffer []byte, offset int64) (int, error) {
	done := 0
	for done < len(buffer) {
		length, err := f.ReadAt(buffer[done:], offset+int64(done))
		if err != nil || length == 0 {
			return done, err
		}
		done += length
	}
	return done, nil
}

// Extents lists the parts of a file of the given size that are no holes.
func (f File) Extents(size int64) ([]Extent, error) {
	var extents []Extent
	for offset := int64(0); offset < size; {
		start, end, err := f.NextData(offset, size)
		if err != nil || start >= end {
			return extents, err
		}
		extents = append(extents, Extent{start, end})
		offset = end
	}
	return extents, nil
}
