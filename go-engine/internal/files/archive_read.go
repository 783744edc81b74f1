// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"syscall"

	"migration.assistant/engine/internal/codec"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/tarball"
	"migration.assistant/engine/internal/wire"
)

// errTooLarge tells that an archive unpacks to more than the job allows.
var errTooLarge = errors.New("the archive is too large")

// archiveReader reads an archive entry by entry.
type archiveReader struct {
	*tar.Reader
	place   *filePlace
	limit   int64
	bounded *boundedReader
	inner   io.ReadCloser
	file    fsys.File
	last    string // the name of the entry before
	dataEnd int64  // where the content of that one ends, of what comes out of the compression
}

// boundedReader counts what comes out of the compression, and ends where it is too much or no longer wanted.
type boundedReader struct {
	from  io.Reader
	ctx   context.Context
	total int64
	limit int64
}

func (b *boundedReader) Read(buffer []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	length, err := b.from.Read(buffer)
	if b.total += int64(length); b.total > b.limit {
		return 0, errTooLarge
	}
	return length, err
}

// skippingReader is one of an archive without compression, in which contents need not be read to get past them.
type skippingReader struct {
	*boundedReader
	buffered *bufio.Reader
	stream   *fsys.Stream
}

// Seek goes on by that many bytes, as tar.Reader does before it reads the last of what it skips.
func (s *skippingReader) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.ErrUnsupported
	}
	if s.total += offset; s.total > s.limit {
		return 0, errTooLarge
	}
	if ahead := offset - int64(s.buffered.Buffered()); ahead > 0 {
		s.stream.Offset += ahead
		s.buffered.Reset(s.stream)
		return s.total, nil
	}
	_, err := s.buffered.Discard(int(offset))
	return s.total, err
}

// openArchive opens the archive of a place; a format of nil is found out from its first bytes.
func openArchive(ctx context.Context, place *filePlace, parameters *archiveParameters) (*archiveReader, error) {
	file, err := place.open()
	if err != nil {
		return nil, wire.Fail(wire.IOError, "unable to read the archive %s: %s", place.path, fsys.Reason(err))
	}
	reader := &archiveReader{place: place, file: file, limit: parameters.maxUnpackedSize}
	data := &fsys.Stream{File: file}
	stream := bufio.NewReaderSize(data, 1<<20)
	format := parameters.format
	if format == nil {
		beginning, _ := stream.Peek(8)
		format = codec.Detect(beginning)
	}
	if reader.inner, err = format.NewReader(stream, parameters.parallel); err != nil {
		file.Close()
		return nil, reader.failure(err)
	}
	reader.bounded = &boundedReader{from: bufio.NewReaderSize(reader.inner, 256<<10), ctx: ctx, limit: reader.limit}
	if format.Name == "tar" {
		reader.bounded.from = stream
		reader.Reader = tar.NewReader(&skippingReader{boundedReader: reader.bounded, buffered: stream, stream: data})
		return reader, nil
	}
	reader.Reader = tar.NewReader(reader.bounded)
	return reader, nil
}

func (r *archiveReader) close() {
	_ = r.inner.Close()
	r.file.Close()
}

// next gives the next entry; io.EOF tells that the archive is complete, and that nothing follows it.
func (r *archiveReader) next() (*tar.Header, error) {
	for {
		before := max(r.bounded.total, r.dataEnd)
		header, err := r.Next()
		if err == io.EOF {
			// The mark of the end is a block of zeros.
			if r.bounded.total-before < tarball.BlockSize {
				return nil, r.failure(io.ErrUnexpectedEOF)
			}
			return nil, r.end()
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, r.failure(err)
		}
		if r.dataEnd = r.bounded.total; (header.Typeflag == tar.TypeReg || header.Typeflag == tar.TypeCont) && !isSparse(header) {
			r.dataEnd += header.Size
		}
		if header.Typeflag != tar.TypeXGlobalHeader {
			r.last = header.Name
			return header, nil
		}
	}
}

// isSparse tells whether the content of an entry is not in the archive as it is.
func isSparse(header *tar.Header) bool {
	_, named := header.PAXRecords["GNU.sparse.name"]
	_, mapped := header.PAXRecords["GNU.sparse.map"]
	return named || mapped || header.Typeflag == tar.TypeGNUSparse
}

// end reads what follows the last entry: nothing but zeros.
func (r *archiveReader) end() error {
	buffer := make([]byte, 64<<10)
	for {
		length, err := r.bounded.Read(buffer)
		for _, value := range buffer[:length] {
			if value != 0 {
				return wire.Fail(wire.ArchiveInvalid, "the archive %s goes on after its end", r.place.path)
			}
		}
		if err == io.EOF {
			return io.EOF
		}
		if err != nil {
			return r.failure(err)
		}
	}
}

// failure says why the archive cannot be read on.
func (r *archiveReader) failure(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errTooLarge):
		return tooLarge(r.place.path, r.limit)
	case errors.As(err, &errno):
		return wire.Fail(wire.IOError, "unable to read the archive %s: %s", r.place.path, fsys.Reason(err))
	case r.last == "":
		return wire.Fail(wire.ArchiveInvalid, "the archive %s is no tar archive, or it is truncated or corrupt", r.place.path)
	}
	return wire.Fail(wire.ArchiveInvalid, "the archive %s is truncated or corrupt after the entry %s", r.place.path, r.last)
}

func tooLarge(path string, limit int64) error {
	return wire.Fail(wire.ArchiveTooLarge, "the archive %s unpacks to more than max_unpacked_size, which is %d bytes", path, limit)
}

// readUpTo reads up to an entry's content.
func (s *spread) readUpTo(entry *unpacked) (err error) {
	if s.reader == nil {
		if s.reader, err = openArchive(s.ctx, s.source, s.archive); err != nil {
			return err
		}
	}
	for {
		passed := s.entries[s.read]
		s.read++
		if !passed.listed {
			continue
		}
		if err := s.follow(passed); err != nil || passed == entry {
			return err
		}
	}
}

// follow reads the next header, which must still be the entry's.
func (s *spread) follow(entry *unpacked) error {
	header, err := s.reader.next()
	if err == io.EOF {
		return s.changed()
	}
	if err != nil {
		return err
	}
	path := header.Name
	if path != entry.path {
		if path, err = s.inside(path, "the entry"); err != nil {
			return err
		}
	}
	if path != entry.path || entry.stat.IsRegular() && !entry.isLink() && header.Size != entry.stat.Size() {
		return s.changed()
	}
	return nil
}

// checkReader tells whether the archive is still the one that was accepted.
func (s *spread) checkReader() error {
	if s.reader == nil {
		return nil
	}
	accepted, now := s.source.stat, fsys.Stat{}
	if err := s.reader.file.Stat(&now); err != nil {
		return s.reader.failure(err)
	}
	if !unchanged(&accepted, &now) {
		return s.changed()
	}
	return nil
}

func (s *spread) closeReader() {
	if s.reader != nil {
		s.reader.close()
	}
}

func (s *spread) changed() error {
	return wire.Fail(wire.SourceChanged, "the archive %s changed while it was unpacked", s.source.path)
}
