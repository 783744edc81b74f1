// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"slices"
	"strings"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/tarball"
	"migration.assistant/engine/internal/wire"
)

// packWalk goes through a tree in the order of the names, and gives what it finds to a sink as a tar archive.
type packWalk struct {
	job      *packJob
	sink     sink
	counters packStatistics
	lister   fsys.Lister
	device   uint64
	links    map[fsys.Identity]string // the first name of each file that has several
	buffer   []byte
	reader   *readAhead
	notices  []func() // what is told once it is known that this walk counts
	failures int
}

func (j *packJob) newWalk(to sink) *packWalk {
	return &packWalk{job: j, sink: to, links: map[fsys.Identity]string{}, buffer: make([]byte, j.parameters.bufferSize)}
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
	case err == errVanished && p.job.parameters.failVanished:
		return p.entryFailed(path, &entryError{code: vanished, message: err.Error()})
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
	p.reader = p.job.newReadAhead(p.sink.wantsData())
	defer p.reader.close()
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
	ahead := &ahead{walk: p, directory: directory, path: path, entries: entries}
	defer ahead.abandon()
	for index, below := range entries {
		if err := p.job.ctx.Err(); err != nil {
			return err
		}
		if err := p.visit(directory, path, below.Name, ahead.take(index)); err != nil {
			return err
		}
	}
	return nil
}

// errPassedOver tells that an entry is hidden by the filters, or ours.
var errPassedOver = errors.New("the entry is not packed")

// passesOver tells whether a file is none that is packed.
func (p *packWalk) passesOver(path, name string) bool {
	return isTemporary(name) || p.job.parameters.filters.Hides(path, false)
}

func (p *packWalk) visit(directory fsys.Directory, above, name string, known *lookedAt) error {
	path := join(above, name)
	if known == nil {
		known = &lookedAt{}
		known.err = directory.Lstat(name, &known.stat)
	}
	if known.err == errPassedOver {
		return nil
	}
	if known.err != nil {
		return p.entryFailed(path, unableToRead("read the entry", known.err))
	}
	if p.isLeftOut(directory, name, path, &known.stat) {
		known.close()
		return nil
	}
	p.job.Meter.SetCurrent(display(path))
	err := p.pack(directory, name, path, known)
	for try := 0; try < 2 && p.isEntryError(err); try++ {
		now := &lookedAt{}
		if directory.Lstat(name, &now.stat) != nil || now.stat.Type() == known.stat.Type() {
			break
		}
		// Something else has taken its place since.
		p.job.Meter.RetryCount.Add(1)
		if known, err = now, nil; !p.isLeftOut(directory, name, path, &now.stat) {
			err = p.pack(directory, name, path, now)
		}
	}
	p.job.Meter.ItemsDone.Add(1)
	return p.entryFailed(path, err)
}

// isLeftOut tells whether an entry is hidden by the filters, or ours.
func (p *packWalk) isLeftOut(directory fsys.Directory, name, path string, stat *fsys.Stat) bool {
	return p.job.parameters.filters.Hides(path, stat.IsDirectory()) ||
		stat.IsRegular() && (isTemporary(name) || p.job.place.is(directory, name))
}

// isEntryError tells whether nothing of the entry was packed, and the walk can go on.
func (p *packWalk) isEntryError(err error) bool {
	var known *entryError
	return errors.As(err, &known)
}

// pack packs an entry as what it was found to be.
func (p *packWalk) pack(directory fsys.Directory, name, path string, known *lookedAt) error {
	stat := &known.stat
	switch {
	case stat.IsDirectory():
		return p.below(directory, name, path)
	case stat.IsSymlink():
		return p.symlink(directory, name, path, stat)
	case stat.IsRegular():
		return p.file(directory, name, path, known)
	}
	return p.special(directory, name, path, stat)
}

func (p *packWalk) below(directory fsys.Directory, name, path string) error {
	opened, err := directory.OpenDirectory(name)
	if err != nil {
		return unableToRead("open the directory", err)
	}
	defer opened.Close()
	p.counters.DirectoriesTotal++
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
	p.noteLink(path, stat)
	entry := p.entry(path, tarball.TypeSymlink, stat)
	entry.Mode, entry.Target = 0o777, target
	return p.write(entry.Header())
}

// noteLink tells of a further name of what is no file: readers of archives make hard links of files only.
func (p *packWalk) noteLink(path string, stat *fsys.Stat) {
	if !p.job.parameters.preserve.hardLinks || stat.Links() < 2 {
		return
	}
	first, packed := p.links[stat.Identity()]
	if !packed {
		p.links[stat.Identity()] = path
		return
	}
	p.warn("hard_link_split", "the "+stat.Kind()+" is a hard link to "+first+", and is packed on its own", path)
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
	p.noteLink(path, stat)
	entry := p.entry(path, kind, stat)
	if stat.IsDevice() {
		entry.Major, entry.Minor = stat.Device()
	}
	if p.job.parameters.preserve.xattrs {
		found, err := directory.EntryAttributes(name)
		if err != nil {
			return unableToRead("read the extended attributes", err)
		}
		entry.Attributes = p.job.labelled(found)
	}
	return p.write(entry.Header())
}

func (p *packWalk) file(directory fsys.Directory, name, path string, known *lookedAt) error {
	listed := &known.stat
	links := p.job.parameters.preserve.hardLinks && listed.Links() > 1
	if first, packed := p.links[listed.Identity()]; links && packed {
		p.counters.HardLinks++
		p.counters.FilesTotal++
		entry := p.entry(path, tarball.TypeHardLink, listed)
		entry.Target = first
		return p.write(entry.Header())
	}
	opened, err := known.file, known.failed
	if opened == nil && err == nil {
		opened, err = p.reader.open(directory, name)
	}
	if err != nil {
		return err
	}
	defer opened.file.Close()
	entry := p.entry(path, tarball.TypeFile, &opened.stat)
	entry.Attributes, entry.Extents = opened.attributes, opened.extents
	if err := p.content(opened, path, entry); err != nil {
		return err
	}
	if links {
		p.links[opened.stat.Identity()] = path
	}
	p.counters.FilesTotal++
	p.counters.BytesTotal += entry.Size
	if entry.Extents != nil {
		p.counters.SparseFiles++
	}
	return nil
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
		entry.Attributes = p.job.labelled(entry.Attributes)
	}
	return unable("read the extended attributes", err)
}

// labelled leaves SELinux contexts out if the job does.
func (j *packJob) labelled(attributes fsys.Attributes) fsys.Attributes {
	if j.parameters.preserve.labels {
		return attributes
	}
	return attributes.WithoutLabel()
}
