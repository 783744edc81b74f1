// SPDX-License-Identifier: GPL-3.0-or-later

package codec

import (
	"bufio"
	"bytes"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/pierrec/lz4/v4"
)

// blockSize is what one stream of gzip compresses at once.
const blockSize = 1 << 20

// largestWindow bounds the memory of reading, as the command zstd does without --long.
const largestWindow = 128 << 20

// Format is one kind of compression. Levels go from lowest to highest; both are 0 where there are none.
type Format struct {
	Name                   string
	Lowest, Highest, Usual int
	magic                  []byte
	write                  func(to io.Writer, level, parallel int) (io.WriteCloser, error)
	read                   func(from io.Reader, parallel int) (io.ReadCloser, error)
}

// Formats are all of them. Tar, the first, compresses nothing.
var Formats = []*Format{
	{Name: "tar", write: writePlain, read: readPlain},
	{Name: "gzip", Lowest: 1, Highest: 9, Usual: 6, magic: []byte{0x1f, 0x8b}, write: writeGzip, read: readGzip},
	{Name: "zstd", Lowest: 1, Highest: 19, Usual: 3, magic: []byte{0x28, 0xb5, 0x2f, 0xfd}, write: writeZstd, read: readZstd},
	{Name: "lz4", Lowest: 1, Highest: 9, Usual: 1, magic: []byte{0x04, 0x22, 0x4d, 0x18}, write: writeLz4, read: readLz4},
	{Name: "brotli", Lowest: 0, Highest: 11, Usual: 5, write: writeBrotli, read: readBrotli},
}

// Names gives the names of all formats.
func Names() []string {
	names := make([]string, 0, len(Formats))
	for _, format := range Formats {
		names = append(names, format.Name)
	}
	return names
}

// Named gives the format of that name, nil if there is none.
func Named(name string) *Format {
	for _, format := range Formats {
		if format.Name == name {
			return format
		}
	}
	return nil
}

// Detect gives the format of a stream that begins so. Brotli has no mark, and so is taken for tar.
func Detect(beginning []byte) *Format {
	for _, format := range Formats {
		if len(format.magic) > 0 && bytes.HasPrefix(beginning, format.magic) {
			return format
		}
	}
	return Formats[0]
}

// NewWriter compresses what is written, and is complete once it is closed.
func (f *Format) NewWriter(to io.Writer, level, parallel int) (io.WriteCloser, error) {
	return f.write(to, level, parallel)
}

// NewReader decompresses. An end before the stream is complete is io.ErrUnexpectedEOF or another error, never io.EOF.
func (f *Format) NewReader(from io.Reader, parallel int) (io.ReadCloser, error) {
	return f.read(from, parallel)
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

func writePlain(to io.Writer, _, _ int) (io.WriteCloser, error) { return plainWriter{to}, nil }

func readPlain(from io.Reader, _ int) (io.ReadCloser, error) { return io.NopCloser(from), nil }

func writeGzip(to io.Writer, level, parallel int) (io.WriteCloser, error) {
	writer, err := pgzip.NewWriterLevel(to, level)
	if err != nil {
		return nil, err
	}
	return writer, writer.SetConcurrency(blockSize, parallel)
}

func readGzip(from io.Reader, _ int) (io.ReadCloser, error) { return gzip.NewReader(from) }

func writeZstd(to io.Writer, level, parallel int) (io.WriteCloser, error) {
	return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(parallel))
}

func readZstd(from io.Reader, parallel int) (io.ReadCloser, error) {
	reader, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(min(parallel, 4)), zstd.WithDecoderMaxWindow(largestWindow))
	if err != nil {
		return nil, err
	}
	return reader.IOReadCloser(), nil
}

func writeLz4(to io.Writer, level, parallel int) (io.WriteCloser, error) {
	writer := lz4.NewWriter(to)
	chosen := lz4.Fast
	if level > 1 {
		chosen = lz4.CompressionLevel(1 << (8 + level))
	}
	err := writer.Apply(lz4.CompressionLevelOption(chosen), lz4.ConcurrencyOption(parallel), lz4.ChecksumOption(true))
	return writer, err
}

func readLz4(from io.Reader, parallel int) (io.ReadCloser, error) {
	return &framesReader{from: bufio.NewReader(from)}, nil
}

// framesReader reads LZ4 frames one after the other.
type framesReader struct {
	from    *bufio.Reader
	current *lz4.Reader
}

func (r *framesReader) Read(buffer []byte) (int, error) {
	for {
		if r.current == nil {
			if _, err := r.from.Peek(1); err != nil {
				return 0, err
			}
			r.current = lz4.NewReader(r.from)
		}
		length, err := r.current.Read(buffer)
		if err != io.EOF {
			return length, err
		}
		r.current = nil
		if length > 0 {
			return length, nil
		}
	}
}

func (*framesReader) Close() error { return nil }

func writeBrotli(to io.Writer, level, _ int) (io.WriteCloser, error) {
	return brotli.NewWriterLevel(to, level), nil
}

func readBrotli(from io.Reader, _ int) (io.ReadCloser, error) {
	return io.NopCloser(brotli.NewReader(from)), nil
}
