// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"migration.assistant/engine/internal/codec"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// packStatistics are those of packing; sizes in bytes.
type packStatistics struct {
	FilesTotal       int64 `json:"files_total"`
	DirectoriesTotal int64 `json:"directories_total"`
	SymlinksTotal    int64 `json:"symlinks_total"`
	SpecialsTotal    int64 `json:"specials_total"`
	HardLinks        int64 `json:"hard_links"`
	SparseFiles      int64 `json:"sparse_files"`
	BytesTotal       int64 `json:"bytes_total"`
	UnpackedSize     int64 `json:"unpacked_size"` // of the archive, without compression
	Skipped          int64 `json:"skipped"`
}

// packJob is one packing at work.
type packJob struct {
	*operations.Session
	parameters *archiveParameters
	ctx        context.Context
	place      *filePlace
	above      *fsys.Time // of the archive's directory, where that is in the tree
}

// errDifferent ends the comparing of an archive with the tree at the first difference.
var errDifferent = errors.New("the archive differs from the tree")

// pack makes the archive hold the tree. It is left alone if it does already.
func pack(ctx context.Context, session *operations.Session, parameters *archiveParameters) (any, error) {
	fsys.RaiseDescriptorLimit()
	job := &packJob{Session: session, parameters: parameters, ctx: ctx}
	root, err := origin.OpenRoot(parameters.source)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if job.place, err = openFilePlace("archive", parameters.destination, false); err != nil {
		return nil, err
	}
	defer job.place.close()
	defer startCensus(ctx, session.Meter, countHere(parameters.source, parameters.filters, false, nil))()
	statistics, err := job.run(root)
	if err == nil {
		err = session.PartialFailure()
	}
	return statistics, err
}

func (j *packJob) run(root fsys.Directory) (*packStatistics, error) {
	if j.place.present {
		j.Meter.SetPhase("compare")
		walk, same, err := j.compare(root)
		if err != nil || same {
			if err == nil && !walk.failed() {
				err = j.setMode()
			}
			walk.tell()
			return &walk.counters, err
		}
	}
	j.Meter.SetPhase("copy")
	walk := j.newWalk(&countingSink{})
	if j.DryRun {
		if err := walk.run(root); err != nil {
			return &walk.counters, err
		}
		walk.tell()
		if !walk.failed() {
			j.report(walk)
		}
		return &walk.counters, nil
	}
	err := j.place.replace("file_archive", 0o600, j.wantedMode(), func(file fsys.File) error {
		return j.write(root, walk, file)
	})
	if j.above != nil {
		// What is written in the tree beside it must not make the archive out of date. Others than the owner cannot.
		_ = j.place.directory.Handle().SetModified(*j.above)
	}
	walk.tell()
	if err == errIncomplete {
		return &walk.counters, nil
	}
	if err != nil {
		return &walk.counters, j.unable("write", err)
	}
	if j.parameters.fsync {
		if err := j.place.directory.FlushFileSystem(); err != nil {
			return &walk.counters, j.unable("flush", err)
		}
	}
	j.report(walk)
	return &walk.counters, nil
}

// errIncomplete tells that entries failed, which have been told.
var errIncomplete = errors.New("not all entries can be packed")

func (j *packJob) write(root fsys.Directory, walk *packWalk, file fsys.File) error {
	buffered := bufio.NewWriterSize(&fsys.Stream{File: file}, 1<<20)
	writer, err := j.parameters.format.NewWriter(buffered, j.parameters.level, j.parameters.parallel)
	if err != nil {
		return err
	}
	walk.sink = &writingSink{writer}
	err = walk.run(root)
	if closed := writer.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil && walk.failed() {
		err = errIncomplete
	}
	if err == nil && j.parameters.fsync {
		err = file.Flush()
	}
	return err
}

// compare walks the tree, and reads the archive beside it.
func (j *packJob) compare(root fsys.Directory) (walk *packWalk, same bool, err error) {
	sink := &comparingSink{byContent: j.parameters.checksum}
	walk = j.newWalk(sink)
	file, err := j.place.open()
	if err != nil {
		return walk, false, j.unable("read", err)
	}
	defer file.Close()
	stream := bufio.NewReaderSize(&fsys.Stream{File: file}, 1<<20)
	beginning, _ := stream.Peek(8)
	format := j.parameters.format
	if format.Name != "brotli" && codec.Detect(beginning) != format {
		return walk, false, nil
	}
	reader, err := format.NewReader(stream, j.parameters.parallel)
	if err != nil {
		return walk, false, nil // it is no archive of this format
	}
	defer reader.Close()
	sink.reader = bufio.NewReaderSize(reader, 256<<10)
	if err = walk.run(root); err == nil {
		_, err = sink.reader.ReadByte()
		if err == nil {
			err = errDifferent
		} else if err == io.EOF {
			return walk, true, nil
		}
	}
	if err == errDifferent || sink.failed {
		return walk, false, nil
	}
	return walk, false, err
}

// setMode gives an archive that is up to date the mode that the job asks for.
func (j *packJob) setMode() error {
	mode := j.parameters.mode
	if mode == nil || *mode == j.place.stat.Permissions() {
		return nil
	}
	if !j.DryRun {
		entry, err := j.place.directory.OpenEntry(j.place.name)
		if err != nil {
			return j.unable("set the mode of", err)
		}
		defer entry.Close()
		var held fsys.Stat
		if err := entry.Stat(&held); err != nil || !held.IsSame(&j.place.stat) {
			return j.unable("set the mode of", errors.Join(err, replaced("archive")))
		}
		if err := entry.Chmod(*mode); err != nil {
			return j.unable("set the mode of", err)
		}
	}
	var before, after wire.Attributes
	before.Text("mode", octal(j.place.stat.Permissions()))
	after.Text("mode", octal(*mode))
	j.Change("metadata", "file", wire.Path(j.place.path), &before, &after)
	return nil
}

func (j *packJob) wantedMode() *uint32 {
	if j.parameters.mode != nil {
		return j.parameters.mode
	}
	return j.place.keptMode()
}

func (j *packJob) report(walk *packWalk) {
	var before, after wire.Attributes
	action, mode := "create", uint32(0o600)
	if wanted := j.wantedMode(); wanted != nil {
		mode = *wanted
	}
	if j.place.present {
		action = "update"
		before.Integer("size", j.place.stat.Size())
		before.Text("mode", octal(j.place.stat.Permissions()))
	}
	after.Integer("files", walk.counters.FilesTotal)
	after.Integer("unpacked_size", walk.counters.UnpackedSize)
	after.Text("mode", octal(mode))
	j.Change(action, "file", wire.Path(j.place.path), &before, &after)
}

func (j *packJob) unable(action string, err error) error {
	var known *wire.Failure
	switch {
	case j.ctx.Err() != nil:
		return j.ctx.Err()
	case errors.As(err, &known):
		return err
	case fsys.IsNoRoom(err):
		return wire.Fail(wire.DiskFull, "the destination has no room left").At(wire.Path(j.place.path))
	}
	return wire.Fail(wire.IOError, "unable to %s the archive %s: %s", action, j.place.path, fsys.Reason(err))
}

// sink is what becomes of the parts of an archive, in their order.
type sink interface {
	// write takes a header, a part of a file, or what is between them.
	write(data []byte) error
	// skip takes so many bytes of a file unseen, if wantsData says so.
	skip(length int64) error
	wantsData() bool
}

// countingSink is for a dry run.
type countingSink struct{}

func (*countingSink) write([]byte) error { return nil }
func (*countingSink) skip(int64) error   { return nil }
func (*countingSink) wantsData() bool    { return false }

type writingSink struct{ writer io.Writer }

func (s *writingSink) write(data []byte) error {
	_, err := s.writer.Write(data)
	return err
}
func (*writingSink) skip(int64) error { return nil }
func (*writingSink) wantsData() bool  { return true }

// comparingSink ends at the first difference. failed says that the archive could not be read on.
type comparingSink struct {
	reader    *bufio.Reader
	byContent bool
	failed    bool
	buffer    []byte
}

func (s *comparingSink) write(data []byte) error {
	if cap(s.buffer) < len(data) {
		s.buffer = make([]byte, len(data))
	}
	found := s.buffer[:len(data)]
	if _, err := io.ReadFull(s.reader, found); err != nil {
		s.failed = true
		return err
	}
	if !bytes.Equal(found, data) {
		return errDifferent
	}
	return nil
}

func (s *comparingSink) skip(length int64) error {
	_, err := io.CopyN(io.Discard, s.reader, length)
	s.failed = err != nil
	return err
}

func (s *comparingSink) wantsData() bool { return s.byContent }
