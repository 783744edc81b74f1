// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// How a block is compressed; each block stands for itself.
const (
	codecNone byte = iota
	codecZstd
	codecLz4
	codecGzip
	codecBrotli
	codecS2
)

// Compression is how blocks are compressed. Codec is auto (s2 or zstd where it pays), none, zstd, gzip, lz4 or brotli; a
// Level of 0 is the codec's fastest.
type Compression struct {
	Codec string
	Level int
}

// Codecs are the names that a Compression may have.
var Codecs = []string{"auto", "none", "zstd", "gzip", "lz4", "brotli"}

// encoder compresses blocks, for several goroutines. It appends to what it is given, or gives codecNone.
type encoder interface {
	encode(to, block []byte) ([]byte, byte)
}

// newEncoder gives nil for no compression.
func newEncoder(compression Compression) (encoder, error) {
	level := compression.Level
	switch compression.Codec {
	case "none":
		return nil, nil
	case "auto", "zstd":
		made, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderCRC(false),
			zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithWindowSize(largestBlock))
		return zstdEncoder{made}, err
	case "s2":
		return s2Encoder{}, nil
	case "lz4":
		return &lz4Encoder{level: level}, nil
	case "gzip":
		made := &streamEncoder{codec: codecGzip}
		made.pool.New = func() any {
			writer, _ := flate.NewWriter(io.Discard, max(level, 1))
			return writer
		}
		return made, nil
	case "brotli":
		made := &streamEncoder{codec: codecBrotli}
		made.pool.New = func() any { return brotli.NewWriterLevel(io.Discard, level) }
		return made, nil
	}
	return nil, fmt.Errorf("unknown compression %q", compression.Codec)
}

// s2Encoder is of all the one that takes the least time; only auto uses it.
type s2Encoder struct{}

func (s2Encoder) encode(to, block []byte) ([]byte, byte) {
	start := len(to)
	to = slices.Grow(to, s2.MaxEncodedLen(len(block)))
	packed := s2.Encode(to[start:cap(to)], block)
	return to[:start+len(packed)], codecS2
}

type zstdEncoder struct{ *zstd.Encoder }

func (e zstdEncoder) encode(to, block []byte) ([]byte, byte) {
	return e.EncodeAll(block, to), codecZstd
}

type lz4Encoder struct {
	level int
	pool  sync.Pool
}

func (e *lz4Encoder) encode(to, block []byte) ([]byte, byte) {
	start := len(to)
	to = append(to, make([]byte, lz4.CompressBlockBound(len(block)))...)
	var length int
	var err error
	if e.level > 1 {
		length, err = lz4.CompressBlockHC(block, to[start:], lz4.CompressionLevel(1<<(8+min(e.level, 9))), nil, nil)
	} else {
		compressor, _ := e.pool.Get().(*lz4.Compressor)
		if compressor == nil {
			compressor = &lz4.Compressor{}
		}
		length, err = compressor.CompressBlock(block, to[start:])
		e.pool.Put(compressor)
	}
	if err != nil || length == 0 {
		return to[:start], codecNone
	}
	return to[:start+length], codecLz4
}

// resettable is a compressor that can begin anew.
type resettable interface {
	io.WriteCloser
	Reset(io.Writer)
}

// streamEncoder is for the codecs that know streams only: each block is one.
type streamEncoder struct {
	codec byte
	pool  sync.Pool
}

func (e *streamEncoder) encode(to, block []byte) ([]byte, byte) {
	writer := e.pool.Get().(resettable)
	defer e.pool.Put(writer)
	buffer := bytes.NewBuffer(to)
	writer.Reset(buffer)
	_, err := writer.Write(block)
	if failed := writer.Close(); err != nil || failed != nil {
		return to, codecNone
	}
	return buffer.Bytes(), e.codec
}

// decoders unpack blocks, for one goroutine.
type decoders struct {
	inflate io.ReadCloser
	brotli  *brotli.Reader
}

// One for all: it has no state between blocks.
var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	made, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(4*largestBlock))
	if err != nil {
		panic(err) // only for wrong options
	}
	return made
})

// unpack fills into with what packed holds, exactly.
func (d *decoders) unpack(codec byte, into, packed []byte) error {
	length := 0
	var err error
	switch codec {
	case codecZstd:
		var raw []byte
		raw, err = zstdDecoder().DecodeAll(packed, into[:0:len(into)])
		if length = len(raw); err == nil && length > len(into) {
			return fmt.Errorf("it is longer than its header says")
		}
	case codecS2:
		if length, err = s2.DecodedLen(packed); err == nil && length == len(into) {
			_, err = s2.Decode(into, packed)
		}
	case codecLz4:
		length, err = lz4.UncompressBlock(packed, into)
	case codecGzip:
		if d.inflate == nil {
			d.inflate = flate.NewReader(nil)
		}
		if err = d.inflate.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err == nil {
			length, err = io.ReadFull(d.inflate, into)
		}
	case codecBrotli:
		if d.brotli == nil {
			d.brotli = brotli.NewReader(nil)
		}
		if err = d.brotli.Reset(bytes.NewReader(packed)); err == nil {
			length, err = io.ReadFull(d.brotli, into)
		}
	default:
		return fmt.Errorf("its codec %d is unknown", codec)
	}
	if err != nil {
		return err
	}
	if length != len(into) {
		return fmt.Errorf("it has %d bytes instead of %d", length, len(into))
	}
	return nil
}
