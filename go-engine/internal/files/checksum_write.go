// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/manifest"
	"migration.assistant/engine/internal/wire"
)

// errDiffers ends the comparing of a manifest at the first difference.
var errDiffers = errors.New("the manifest differs")

// writeManifest makes the manifest hold the records, by way of a temporary file. It is left alone if it does already.
func (j *checksumJob) writeManifest(records []manifest.Record) error {
	slices.Sort(records)
	length := &measuredWriter{}
	if err := manifest.Write(length, records); err != nil {
		return err
	}
	var before wire.Attributes
	action := "create"
	if j.place.present {
		same, lines, err := j.place.compare(records, length.bytes)
		if err != nil {
			return wire.Fail(wire.IOError, "unable to read the manifest %s: %s", j.place.path, fsys.Reason(err))
		}
		if same {
			return nil
		}
		action = "update"
		before.Integer("size", j.place.stat.Size())
		before.Integer("files", lines)
	}
	if !j.DryRun {
		if err := j.replaceManifest(records); fsys.IsNoRoom(err) {
			return wire.Fail(wire.DiskFull, "the destination has no room left").At(wire.Path(j.place.path))
		} else if err != nil {
			return wire.Fail(wire.IOError, "unable to write the manifest %s: %s", j.place.path, fsys.Reason(err))
		}
	}
	var after wire.Attributes
	after.Integer("size", length.bytes)
	after.Integer("files", int64(len(records)))
	j.Change(action, "file", wire.Path(j.place.path), &before, &after)
	return nil
}

// measuredWriter counts what is written, and the line feeds in it.
type measuredWriter struct{ bytes, lines int64 }

func (m *measuredWriter) Write(data []byte) (int, error) {
	m.bytes += int64(len(data))
	m.lines += int64(bytes.Count(data, []byte("\n")))
	return len(data), nil
}

// comparedWriter compares what is written with what a file holds.
type comparedWriter struct {
	stream fsys.Stream
	buffer []byte
}

func (c *comparedWriter) Write(data []byte) (int, error) {
	c.buffer = slices.Grow(c.buffer[:0], len(data))[:len(data)]
	_, err := io.ReadFull(&c.stream, c.buffer)
	if err == io.EOF || err == io.ErrUnexpectedEOF || err == nil && !bytes.Equal(c.buffer, data) {
		err = errDiffers
	}
	return len(data), err
}

// replaceManifest writes the manifest. A new one gets the mode that the umask allows, one that was there keeps its own.
func (j *checksumJob) replaceManifest(records []manifest.Record) error {
	return j.place.replace("file_checksum", 0o666, j.place.keptMode(), func(file fsys.File) error {
		return manifest.Write(&fsys.Stream{File: file}, records)
	})
}

// compare tells whether the manifest holds the records already; if not, how many lines it has.
func (p *filePlace) compare(records []manifest.Record, length int64) (same bool, lines int64, err error) {
	file, err := p.open()
	if err != nil {
		return false, 0, err
	}
	defer file.Close()
	if p.stat.Size() == length {
		err = manifest.Write(&comparedWriter{stream: fsys.Stream{File: file}}, records)
		if err != errDiffers {
			return err == nil, 0, err
		}
	}
	counted := &measuredWriter{}
	_, err = io.Copy(counted, &fsys.Stream{File: file})
	return false, counted.lines, err
}
