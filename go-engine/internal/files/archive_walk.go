// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"io"
	"slices"
	"strings"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/tarball"
	"migration.assistant/engine/internal/wire"
)

// readWhole is the size up to which a file is read before its header is written, so that both fit together even if
// the file changes meanwhile.
const readWhole = 1 << 20

// packWalk goes through a tree in the order of the names, and gives what it finds to a sink as a tar archive.
type packWalk struct {
	job      *packJob
	sink     sink
	counters packStatistics
	lister   fsys.Lister
	device   uint64
	links    map[fsys.Identity]string // the first name of each file that has several
	buffer   []byte
	notices  []func() // what is told once it is known that this walk counts
	failures int
}

func (j *packJob) newWalk(to sink) *packWalk {
	return &packWalk{job: j, sink: to, links: map[fsys.Identity]string{}, buffer: make([]byte, max(j.parameters.bufferSize, readWhole+1))}
}

func (p *packWalk) failed() bool { return p.failures > 0 }

// tell gives the notices of the walk.
func (p *packWalk) tell() {
	for _, notice := range p.notices {
		notice()
	}
	p.notices = nil
}

func (p *packWalk) warn(code, message, path string) {
	p.notices = append(p.notices, func() { p.job.Warning(code, message, display(path)) })
}

// entryFailed sorts out what went wrong with one entry; what it gives ends the walk.
func (p *packWalk) entryFailed(path string, err error) error {
	var known *entryError
	switch {
	case err == nil:
		return nil
	case err == errVanished:
		p.warn(vanished, err.Error(), path)
		return nil
	case errors.As(err, &known):
		p.failures++
		p.notices = append(p.notices, func() { p.job.EntryFailed(known.code, known.message, display(path)) })
		return nil
	}
	return err
}

// run packs the whole tree.
func (p *packWalk) run(root fsys.Directory) error {
	p.job.Meter.ItemsDone.Store(0)
	p.job.Meter.BytesDone.Store(0)
	p.job.Meter.BytesPassed.Store(0)
	var stat fsys.Stat
	if err := root.Stat(&stat); err != nil {
		return wire.Fail(wire.IOError, "unable to read the source: %s", fsys.Reason(err))
	}
	p.device = stat.Identity().Device
	// Opened anew, since a directory is listed only once.
	opened, err := root.OpenDirectory(".")
	if err != nil {
		return wire.Fail(wire.IOError, "unable to read the source: %s", fsys.Reason(err))
	}
	defer opened.Close()
	if err := p.entryFailed("", p.directory(opened, "", &stat)); err != nil {
		return err
	}
	return p.write(tarball.End)
}

func (p *packWalk) write(data []byte) error {
	p.counters.UnpackedSize += int64(len(data))
	return p.sink.write(data)
}

// directory packs an open directory with all that is in it.
func (p *packWalk) directory(directory fsys.Directory, path string, stat *fsys.Stat) error {
	entry := p.entry(path, tarball.TypeDirectory, stat)
	if stat.Identity() == p.job.place.identity {
		modified := stat.Modified()
		p.job.above = &modified
	}
	if err := p.attributes(entry, directory.Handle()); err != nil {
		return err
	}
	entries, err := p.lister.List(directory)
	if err != nil {
		return unable("read the directory", err)
	}
	if err := p.write(entry.Header()); err != nil {
		return err
	}
	slices.SortFunc(entries, func(one, other fsys.Entry) int { return strings.Compare(one.Name, other.Name) })
	for _, below := range entries {
		if err := p.job.ctx.Err(); err != nil {
			return err
		}
		if err := p.visit(directory, path, below.Name); err != nil {
			return err
		}
	}
	return nil
}

func (p *packWalk) visit(directory fsys.Directory, above, name string) error {
	path := join(above, name)
	var stat fsys.Stat
	if err := directory.Lstat(name, &stat); err != nil {
		return p.entryFailed(path, unableToRead("read the entry", err))
	}
	if p.job.parameters.filters.Hides(path, stat.IsDirectory()) {
		return nil
	}
	if stat.IsRegular() && (isTemporary(name) || p.job.place.is(directory, name)) {
		return nil // ours
	}
	p.job.Meter.SetCurrent(display(path))
	var err error
	switch {
	case stat.IsDirectory():
		err = p.below(directory, name, path)
	case stat.IsRegular():
		err = p.file(directory, name, path, &stat)
	case stat.IsSymlink():
		err = p.symlink(directory, name, path, &stat)
	default:
		err = p.special(directory, name, path, &stat)
	}
	p.job.Meter.ItemsDone.Add(1)
	return p.entryFailed(path, err)
}

func (p *packWalk) below(directory fsys.Directory, name, path string) error {
	p.counters.DirectoriesTotal++
	opened, err := directory.OpenDirectory(name)
	if err != nil {
		return unableToRead("open the directory", err)
	}
	defer opened.Close()
	var stat fsys.Stat
	if err := opened.Stat(&stat); err != nil {
		return unable("open the directory", err)
	}
	if p.job.parameters.oneFileSystem && stat.Identity().Device != p.device {
		p.counters.Skipped++
		p.warn("mount_point_skipped", "what is in another file system was not packed", path)
		entry := p.entry(path, tarball.TypeDirectory, &stat)
		if err := p.attributes(entry, opened.Handle()); err != nil {
			return err
		}
		return p.write(entry.Header())
	}
	return p.directory(opened, path, &stat)
}

func (p *packWalk) symlink(directory fsys.Directory, name, path string, stat *fsys.Stat) error {
	target, err := p.lister.ReadLink(directory, name)
	if err != nil {
		return unableToRead("read the symbolic link", err)
	}
	p.counters.SymlinksTotal++
	entry := p.entry(path, tarball.TypeSymlink, stat)
	entry.Mode, entry.Target = 0o777, target
	return p.write(entry.Header())
}

func (p *packWalk) special(directory fsys.Directory, name, path string, stat *fsys.Stat) error {
	p.counters.SpecialsTotal++
	kinds := map[fsys.Type]byte{
		fsys.TypeFifo:            tarball.TypeFifo,
		fsys.TypeBlockDevice:     tarball.TypeBlockDevice,
		fsys.TypeCharacterDevice: tarball.TypeCharacterDevice,
	}
	kind, known := kinds[stat.Type()]
	if !known || !p.job.parameters.preserve.specials {
		p.counters.Skipped++
		p.warn("special_skipped", "the "+stat.Kind()+" was not packed", path)
		return nil
	}
	entry := p.entry(path, kind, stat)
	if stat.IsDevice() {
		entry.Major, entry.Minor = stat.Device()
	}
	if p.job.parameters.preserve.xattrs {
		found, err := directory.EntryAttributes(name)
		if err != nil {
			return unableToRead("read the extended attributes", err)
		}
		entry.Attributes = found
	}
	return p.write(entry.Header())
}

func (p *packWalk) file(directory fsys.Directory, name, path string, listed *fsys.Stat) error {
	links := p.job.parameters.preserve.hardLinks && listed.Links() > 1
	if first, known := p.links[listed.Identity()]; links && known {
		p.counters.HardLinks++
		p.counters.FilesTotal++
		entry := p.entry(path, tarball.TypeHardLink, listed)
		entry.Target = first
		return p.write(entry.Header())
	}
	file, err := directory.OpenFile(name)
	if err != nil {
		return unableToRead("read the file", err)
	}
	defer file.Close()
	var stat fsys.Stat
	if err := file.Stat(&stat); err != nil {
		return unable("read the file", err)
	}
	if !stat.IsRegular() {
		return replaced("source")
	}
	entry := p.entry(path, tarball.TypeFile, &stat)
	if err := p.attributes(entry, file.Handle()); err != nil {
		return err
	}
	if entry.Extents, err = holesOf(file, &stat); err != nil {
		return unable("read the file", err)
	}
	if err := p.content(file, path, entry, &stat); err != nil {
		return err
	}
	if links {
		p.links[stat.Identity()] = path
	}
	p.counters.FilesTotal++
	p.counters.BytesTotal += entry.Size
	if entry.Extents != nil {
		p.counters.SparseFiles++
	}
	return nil
}

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
func (p *packWalk) content(file fsys.File, path string, entry *tarball.Entry, stat *fsys.Stat) error {
	if !p.sink.wantsData() {
		return p.unread(entry)
	}
	if entry.Extents == nil && stat.Size() <= readWhole {
		return p.small(file, path, entry, stat)
	}
	if err := p.write(entry.Header()); err != nil {
		return err
	}
	extents := entry.Extents
	if extents == nil {
		extents = []fsys.Extent{{Start: 0, End: entry.Size}}
	}
	for _, extent := range extents {
		stream := fsys.Stream{File: file, Offset: extent.Start}
		for left := extent.Length(); left > 0; {
			if err := p.job.ctx.Err(); err != nil {
				return err
			}
			read, err := stream.Read(p.buffer[:min(left, int64(p.job.parameters.bufferSize))])
			if err == io.EOF {
				// The header has promised more.
				return wire.Fail(wire.SourceChanged, "the file %s became shorter while it was packed", path).At(wire.Path(path))
			}
			if err != nil {
				return wire.Fail(wire.IOError, "unable to read the file %s: %s", path, fsys.Reason(err)).At(wire.Path(path))
			}
			if err := p.data(p.buffer[:read]); err != nil {
				return err
			}
			left -= int64(read)
		}
	}
	var now fsys.Stat
	if err := file.Stat(&now); err == nil && !unchanged(stat, &now) {
		p.warn("source_changed", "the file changed while it was packed", path)
	}
	return p.write(tarball.Padding(entry.DataSize()))
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

// small reads the whole file first, once more if it changed meanwhile.
func (p *packWalk) small(file fsys.File, path string, entry *tarball.Entry, stat *fsys.Stat) error {
	for try := 0; ; try++ {
		length, err := io.ReadFull(&fsys.Stream{File: file}, p.buffer[:readWhole+1])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return unable("read the file", err)
		}
		var now fsys.Stat
		if err := file.Stat(&now); err != nil {
			return unable("read the file", err)
		}
		same := unchanged(stat, &now) && int64(length) == stat.Size()
		if !same && try == 0 {
			p.job.Meter.RetryCount.Add(1)
			*stat = now
			entry.Modified = p.modified(&now)
			continue
		}
		if length > readWhole {
			return &entryError{code: wire.SourceChanged, message: "the file grew while it was packed"}
		}
		if !same {
			p.warn("source_changed", "the file changed twice while it was packed", path)
		}
		entry.Size = int64(length)
		if err := p.write(entry.Header()); err != nil {
			return err
		}
		if err := p.data(p.buffer[:length]); err != nil {
			return err
		}
		return p.write(tarball.Padding(entry.Size))
	}
}

// entry describes what is packed, as far as the job keeps it.
func (p *packWalk) entry(path string, kind byte, stat *fsys.Stat) *tarball.Entry {
	wanted := p.job.parameters.preserve
	entry := &tarball.Entry{Path: path, Type: kind, Modified: p.modified(stat), Mode: 0o644}
	if kind == tarball.TypeDirectory {
		entry.Mode = 0o755
	}
	if wanted.permissions {
		entry.Mode = stat.Permissions()
	}
	if wanted.owner {
		entry.User = stat.User()
	}
	if wanted.group {
		entry.Group = stat.Group()
	}
	if kind == tarball.TypeFile {
		entry.Size = stat.Size()
	}
	return entry
}

func (p *packWalk) modified(stat *fsys.Stat) fsys.Time {
	if !p.job.parameters.preserve.timestamps {
		return fsys.Time{}
	}
	return stat.Modified()
}

func (p *packWalk) attributes(entry *tarball.Entry, handle fsys.Handle) (err error) {
	if p.job.parameters.preserve.xattrs {
		entry.Attributes, err = handle.Attributes()
	}
	return unable("read the extended attributes", err)
}
