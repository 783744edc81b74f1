// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"fmt"
	"io"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/tarball"
	"migration.assistant/engine/internal/wire"
)

// holesOf gives the extents of a file that has holes, nil for one without.
func holesOf(file fsys.File, stat *fsys.Stat) ([]fsys.Extent, error) {
	if !stat.IsSparse() {
		return nil, nil
	}
	extents, err := file.Extents(stat.Size())
	if err != nil || len(extents) == 1 && extents[0].Length() == stat.Size() {
		return nil, err
	}
	// GNU tar ends the list so where the file ends with a hole.
	if last := len(extents) - 1; last < 0 || extents[last].End < stat.Size() {
		extents = append(extents, fsys.Extent{Start: stat.Size(), End: stat.Size()})
	}
	return extents, nil
}

// content writes the header and the content of a file.
func (p *packWalk) content(opened *packFile, path string, entry *tarball.Entry) error {
	switch {
	case !p.sink.wantsData():
		return p.unread(entry)
	case opened.data != nil:
		return p.small(opened, path, entry)
	}
	if err := p.write(entry.Header()); err != nil {
		return err
	}
	extents := entry.Extents
	if extents == nil {
		extents = []fsys.Extent{{Start: 0, End: entry.Size}}
	}
	missing := int64(0)
	for _, extent := range extents {
		lacks, err := p.extent(opened.file, path, extent)
		if err != nil {
			return err
		}
		missing += lacks
	}
	var now fsys.Stat
	if err := opened.file.Stat(&now); missing > 0 {
		p.warn("source_changed", fmt.Sprintf("the file became shorter while it was packed: its last %d bytes are zeros", missing), path)
	} else if err == nil && !unchanged(&opened.stat, &now) {
		p.warn("source_changed", "the file changed while it was packed", path)
	}
	return p.write(tarball.Padding(entry.DataSize()))
}

// extent packs a part of a large file. The header has promised so much: what is missing by now is filled up with zeros.
func (p *packWalk) extent(file fsys.File, path string, extent fsys.Extent) (missing int64, err error) {
	stream := fsys.Stream{File: file, Offset: extent.Start}
	for left := extent.Length(); left > 0; {
		if err := p.job.ctx.Err(); err != nil {
			return missing, err
		}
		piece := p.buffer[:min(left, int64(len(p.buffer)))]
		read, err := stream.Read(piece)
		if err == io.EOF {
			clear(piece)
			read = len(piece)
			stream.Offset += int64(read)
			missing += int64(read)
		} else if err != nil {
			return missing, wire.Fail(wire.IOError, "unable to read the file %s: %s", path, fsys.Reason(err)).At(wire.Path(path))
		}
		if err := p.data(piece[:read]); err != nil {
			return missing, err
		}
		left -= int64(read)
	}
	return missing, nil
}

func (p *packWalk) data(data []byte) error {
	p.job.Meter.BytesDone.Add(int64(len(data)))
	return p.write(data)
}

// unread is content where only the header counts.
func (p *packWalk) unread(entry *tarball.Entry) error {
	if err := p.write(entry.Header()); err != nil {
		return err
	}
	size := entry.DataSize()
	p.counters.UnpackedSize += size
	p.job.Meter.BytesPassed.Add(size)
	if err := p.sink.skip(size); err != nil {
		return err
	}
	return p.write(tarball.Padding(size))
}

// small writes a file that was read.
func (p *packWalk) small(opened *packFile, path string, entry *tarball.Entry) error {
	if opened.changed {
		p.warn("source_changed", "the file changed twice while it was packed", path)
	}
	entry.Size = int64(len(opened.data))
	if err := p.write(entry.Header()); err != nil {
		return err
	}
	if err := p.data(opened.data); err != nil {
		return err
	}
	p.reader.giveBack(opened.data)
	return p.write(tarball.Padding(entry.Size))
}
