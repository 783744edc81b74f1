// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"encoding/binary"
	"fmt"
	"io"
)

// What is sent goes in blocks, each of which is compressed or not: its codec, its length and its length as sent.
const (
	blockHeader  = 9
	largestBlock = 256 << 10
)

// Writer sends values over a stream. It gathers them into blocks; what must arrive is flushed.
type Writer struct {
	to     io.Writer
	pace   *Pace // nil: nothing is compressed
	block  []byte
	packed []byte
}

// NewWriter makes a writer. pace decides what is compressed; nil for nothing.
func NewWriter(to io.Writer, pace *Pace) *Writer {
	return &Writer{to: to, pace: pace, block: make([]byte, blockHeader, blockHeader+largestBlock)}
}

// Room gives free space for at most so many bytes, and at least one; Advance says how many were used.
func (w *Writer) Room(most int) ([]byte, error) {
	free := cap(w.block) - len(w.block)
	if free < min(most, 16<<10) {
		if err := w.Flush(); err != nil {
			return nil, err
		}
		free = cap(w.block) - len(w.block)
	}
	return w.block[len(w.block) : len(w.block)+min(most, free)], nil
}

// Advance takes so many bytes of what Room gave.
func (w *Writer) Advance(length int) { w.block = w.block[:len(w.block)+length] }

// Byte sends one byte.
func (w *Writer) Byte(value byte) error { return w.Write([]byte{value}) }

// Uint sends a number.
func (w *Writer) Uint(value uint64) error {
	var encoded [binary.MaxVarintLen64]byte
	return w.Write(encoded[:binary.PutUvarint(encoded[:], value)])
}

// Int sends a number that may be negative.
func (w *Writer) Int(value int64) error {
	var encoded [binary.MaxVarintLen64]byte
	return w.Write(encoded[:binary.PutVarint(encoded[:], value)])
}

// Text sends bytes with their length.
func (w *Writer) Text(value string) error {
	if err := w.Uint(uint64(len(value))); err != nil {
		return err
	}
	return w.Write([]byte(value))
}

// Write sends bytes as they are.
func (w *Writer) Write(data []byte) error {
	for len(data) > 0 {
		free := cap(w.block) - len(w.block)
		if free == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
			continue
		}
		part := data[:min(free, len(data))]
		w.block = append(w.block, part...)
		data = data[len(part):]
	}
	return nil
}

// Flush sends what was gathered.
func (w *Writer) Flush() error {
	length := len(w.block) - blockHeader
	if length == 0 {
		return nil
	}
	sent, codec := w.block, codecNone
	if w.pace != nil {
		if packed, used := w.pace.pack(w.packed, w.block[blockHeader:]); used != codecNone {
			w.packed, sent, codec = packed, packed, used
		}
	}
	sent[0] = codec
	binary.LittleEndian.PutUint32(sent[1:], uint32(length))
	binary.LittleEndian.PutUint32(sent[5:], uint32(len(sent)-blockHeader))
	w.block = w.block[:blockHeader]
	if w.pace != nil {
		w.pace.beginWrite()
		defer w.pace.endWrite(len(sent))
	}
	_, err := w.to.Write(sent)
	return err
}

// Reader reads what a Writer sent.
type Reader struct {
	from   io.Reader
	header [blockHeader]byte
	raw    []byte
	packed []byte
	rest   []byte // of the block in hand
	codecs decoders
}

// NewReader makes a reader.
func NewReader(from io.Reader) *Reader { return &Reader{from: from} }

// Buffered tells how much of the block in hand was not read yet.
func (r *Reader) Buffered() int { return len(r.rest) }

// Some gives the next bytes, at least one and at most so many; they are good until the next call.
func (r *Reader) Some(most int64) ([]byte, error) {
	if len(r.rest) == 0 {
		if err := r.next(); err != nil {
			return nil, err
		}
	}
	part := r.rest[:min(int64(len(r.rest)), most)]
	r.rest = r.rest[len(part):]
	return part, nil
}

// ReadByte implements io.ByteReader.
func (r *Reader) ReadByte() (byte, error) {
	part, err := r.Some(1)
	if err != nil {
		return 0, err
	}
	return part[0], nil
}

// Uint reads a number.
func (r *Reader) Uint() (uint64, error) { return binary.ReadUvarint(r) }

// Int reads a number that may be negative.
func (r *Reader) Int() (int64, error) { return binary.ReadVarint(r) }

// Text reads bytes with their length, of which there may be at most so many.
func (r *Reader) Text(most int) (string, error) {
	length, err := r.Uint()
	if err != nil {
		return "", err
	}
	if length > uint64(most) {
		return "", fmt.Errorf("the other engine sent a text of %d bytes where at most %d are allowed", length, most)
	}
	if length == 0 {
		return "", nil
	}
	if int(length) <= len(r.rest) {
		part, err := r.Some(int64(length))
		return string(part), err
	}
	text := make([]byte, 0, length)
	for len(text) < int(length) {
		part, err := r.Some(int64(int(length) - len(text)))
		if err != nil {
			return "", err
		}
		text = append(text, part...)
	}
	return string(text), nil
}

// next reads one block.
func (r *Reader) next() error {
	if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
		return err
	}
	codec := r.header[0]
	length, sent := binary.LittleEndian.Uint32(r.header[1:]), binary.LittleEndian.Uint32(r.header[5:])
	if length == 0 || length > largestBlock || sent > largestBlock+blockHeader || codec == codecNone && length != sent {
		return fmt.Errorf("the other engine sent a block of %d bytes as %d", length, sent)
	}
	if r.raw == nil {
		r.raw = make([]byte, largestBlock)
	}
	into := r.raw[:length]
	if codec == codecNone {
		_, err := io.ReadFull(r.from, into)
		r.rest = into
		return unexpected(err)
	}
	if r.packed == nil {
		r.packed = make([]byte, largestBlock+blockHeader)
	}
	packed := r.packed[:sent]
	if _, err := io.ReadFull(r.from, packed); err != nil {
		return unexpected(err)
	}
	if err := r.codecs.unpack(codec, into, packed); err != nil {
		return fmt.Errorf("a block from the other engine cannot be unpacked: %w", err)
	}
	r.rest = into
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
