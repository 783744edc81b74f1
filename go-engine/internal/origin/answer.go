// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// answerer serves one stream.
type answerer struct {
	offer          *Offer
	from           *far.Reader
	to             *far.Writer
	root           fsys.Directory
	rootPath       string
	withAttributes bool
	algorithm      *digest.Algorithm
	cache          *serverCache
	withLabels     bool
	names          namer
	lister         fsys.Lister
	path           string // of directory
	directory      fsys.Directory
	buffer         []byte
}

// begin reads what all questions of the stream have in common.
func (a *answerer) begin(s *Server, stream io.Writer) error {
	path, err := a.from.Text(longestPath)
	if err != nil {
		return err
	}
	wanted, err := a.from.ReadByte()
	if err != nil {
		return err
	}
	codec, err := a.from.Text(longestName)
	if err != nil {
		return err
	}
	level, err := a.from.Int()
	if err != nil {
		return err
	}
	a.rootPath = path
	checksums, err := a.from.Text(longestName)
	if err != nil {
		return err
	}
	cache, err := readOptions(a.from)
	if err != nil {
		return err
	}
	a.cache = s.cacheFor(cache)
	a.withAttributes = wanted&wantAttributes != 0
	a.withLabels = wanted&wantLabels != 0
	a.names.wanted = wanted&wantNames != 0
	var pace *far.Pace
	followed := wanted&wantTargets != 0
	a.root, pace, err = s.root(path, followed, far.Compression{Codec: codec, Level: int(level)})
	a.to = far.NewWriter(stream, pace)
	if a.algorithm = digest.Named(checksums); a.algorithm == nil && err == nil {
		err = wire.Fail(wire.BadJob, "the checksum %s is unknown", checksums)
	}
	if err == nil {
		err = a.to.Byte(answerGood)
	} else if told := sendFailure(a.to, err); told != nil {
		err = told
	}
	if sent := a.to.Flush(); err == nil {
		err = sent
	}
	return err
}

// answer answers one question. It fails only where the stream does.
func (a *answerer) answer() error {
	question, err := a.from.ReadByte()
	if err != nil {
		return err
	}
	path, err := a.from.Text(longestPath)
	if err != nil {
		return err
	}
	switch question {
	case askList:
		err = a.list(path, mostEntries)
	case askAhead:
		err = a.list(path, mostEntriesAhead)
	case askFile, askDelta, askChecksum, askKnown:
		err = a.file(question, path)
	case askCensus:
		err = a.census()
	case askThere:
		err = a.there()
	default:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	// What comes next may be an answer for the same block.
	if a.from.Buffered() > 0 {
		return nil
	}
	return a.to.Flush()
}

// enter gives the directory at a path, which stays open for the next question.
func (a *answerer) enter(path string) (fsys.Directory, error) {
	if a.directory.IsOpen() && a.path == path {
		return a.directory, nil
	}
	a.directory.Close()
	var err error
	a.path = path
	a.directory, err = a.root.OpenBelow(path, fsys.Directory.OpenDirectory)
	return a.directory, err
}

// list sends the listing of a directory, unless it has more than so many entries.
func (a *answerer) list(path string, most int) error {
	if !a.offer.shows(path, true) {
		return sendFailure(a.to, fs.ErrNotExist)
	}
	// Opened anew: a duplicate would share its place in the listing.
	parent, name := path, "."
	if path != "" {
		parent, name = split(path)
	}
	above, err := a.root.OpenBelow(parent, fsys.Directory.OpenDirectory)
	if err != nil {
		return sendFailure(a.to, err)
	}
	defer above.Close()
	opened, err := above.OpenDirectory(name)
	if err != nil {
		return sendFailure(a.to, err)
	}
	defer opened.Close()
	var stat fsys.Stat
	entries, err := a.lister.List(opened)
	if err == nil {
		err = opened.Stat(&stat)
	}
	if err == nil && len(entries) > most {
		err = errTooMany
	}
	if err != nil {
		return sendFailure(a.to, err)
	}
	if err := a.to.Byte(answerGood); err != nil {
		return err
	}
	if err := a.names.sendStat(a.to, &stat); err != nil {
		return err
	}
	if a.withAttributes {
		attributes, failed := opened.Handle().Attributes()
		if err := a.sendAttributes(attributes, failed); err != nil {
			return err
		}
	}
	failpoint.Hit("serve.listing")
	for index := range entries {
		if err := a.entry(opened, path, entries[index].Name); err != nil {
			return err
		}
	}
	return a.to.Text("") // the end: no entry has no name
}

// entry sends all that there is to know of an entry; one that has vanished, or is not offered, is left out.
func (a *answerer) entry(parent fsys.Directory, path, name string) error {
	var stat fsys.Stat
	failed := parent.Lstat(name, &stat)
	if fsys.IsNotExist(failed) || a.offer != nil && a.offer.Filters.Hides(join(path, name), stat.IsDirectory()) {
		return nil
	}
	if err := a.to.Text(name); err != nil {
		return err
	}
	if failed != nil {
		return sendFailure(a.to, failed)
	}
	if err := a.to.Byte(answerGood); err != nil {
		return err
	}
	if err := a.names.sendStat(a.to, &stat); err != nil {
		return err
	}
	switch {
	case stat.IsSymlink():
		target, failed := a.lister.ReadLink(parent, name)
		if failed != nil {
			return sendFailure(a.to, failed)
		}
		if err := a.to.Byte(answerGood); err != nil {
			return err
		}
		return a.to.Text(target)
	case stat.IsDirectory() || !a.withAttributes:
		return nil
	}
	attributes, failed := parent.EntryAttributes(name)
	return a.sendAttributes(attributes, failed)
}

func (a *answerer) sendAttributes(attributes fsys.Attributes, failed error) error {
	if !a.withLabels {
		attributes = attributes.WithoutLabel()
	}
	return a.names.sendAttributes(a.to, attributes, failed)
}

// file answers questions about the content of a file, which must still be the one that was listed.
func (a *answerer) file(question byte, path string) error {
	var values [4]uint64
	for index := range values {
		var err error
		if values[index], err = a.from.Uint(); err != nil {
			return err
		}
	}
	digests, seed := "", uint64(0)
	if question == askDelta {
		var err error
		if digests, err = a.from.Text(longestDigests); err != nil {
			return err
		}
		if seed, err = a.from.Uint(); err != nil {
			return err
		}
	}
	expected := fsys.Identity{Device: values[0], Number: values[1]}
	file, stat, err := a.openFile(path, expected)
	if err != nil {
		return sendFailure(a.to, err)
	}
	defer file.Close()
	failpoint.Hit("serve.content")
	if question == askChecksum || question == askKnown {
		return a.checksum(file, int64(values[3]), question == askKnown)
	}
	if err := a.to.Byte(answerGood); err != nil {
		return err
	}
	if err := a.names.sendStat(a.to, &stat); err != nil {
		return err
	}
	if question == askDelta {
		end := min(stat.Size(), int64(values[2])+int64(values[3]))
		return a.delta(file, int64(values[2]), end, digests, seed)
	}
	return a.content(file, &stat, int64(values[2]), int64(values[3]))
}

func (a *answerer) openFile(path string, expected fsys.Identity) (fsys.File, fsys.Stat, error) {
	var stat fsys.Stat
	if !a.offer.shows(path, false) {
		return fsys.File{}, stat, fs.ErrNotExist
	}
	directory, name := split(path)
	parent, err := a.enter(directory)
	if err != nil {
		return fsys.File{}, stat, err
	}
	file, err := parent.OpenFile(name)
	if err != nil {
		return fsys.File{}, stat, err
	}
	err = file.Stat(&stat)
	if err == nil && (!stat.IsRegular() || stat.Identity() != expected) {
		err = ErrReplaced
	}
	if err != nil {
		file.Close()
		return fsys.File{}, stat, err
	}
	return file, stat, nil
}

// content sends the range of a file from start on, or what there is of it. A failure on the way is the last part.
func (a *answerer) content(file fsys.File, stat *fsys.Stat, start, length int64) error {
	end := stat.Size()
	if length >= 0 {
		end = min(end, start+length)
	}
	sum := uint32(0)
	for offset := start; offset < end; {
		dataStart, dataEnd := offset, end
		if stat.IsSparse() {
			var failed error
			if dataStart, dataEnd, failed = file.NextData(offset, end); failed != nil {
				return a.failPart(failed)
			}
			if dataStart >= dataEnd {
				dataStart, dataEnd = end, end
			}
		}
		if dataStart > offset {
			if err := a.to.Byte(partHole); err != nil {
				return err
			}
			if err := a.to.Uint(uint64(dataStart - offset)); err != nil {
				return err
			}
		}
		for offset = dataStart; offset < dataEnd; {
			length, failed, err := a.data(file, offset, dataEnd-offset, &sum)
			if err != nil {
				return err
			}
			if failed != nil {
				return a.failPart(failed)
			}
			if length == 0 { // it has become shorter
				return a.endPart(file, sum)
			}
			offset += int64(length)
		}
	}
	return a.endPart(file, sum)
}

// data sends one part, read straight into the block that carries it.
func (a *answerer) data(file fsys.File, offset, most int64, sum *uint32) (length int, failed, err error) {
	const header = 5
	space, err := a.to.Room(int(min(most, 1<<30)) + header)
	if err != nil {
		return 0, nil, err
	}
	if length, failed = file.ReadAt(space[header:], offset); failed != nil || length == 0 {
		return 0, failed, nil
	}
	space[0] = partData
	putLength(space[1:], length)
	*sum = crc32.Update(*sum, crc32.IEEETable, space[header:header+length])
	a.to.Advance(header + length)
	return length, nil, nil
}

func putLength(into []byte, length int) { binary.LittleEndian.PutUint32(into, uint32(length)) }

func (a *answerer) failPart(failed error) error {
	if err := a.to.Byte(partFail); err != nil {
		return err
	}
	return sendFailure(a.to, failed)
}

func (a *answerer) endPart(file fsys.File, sum uint32) error {
	var now fsys.Stat
	if failed := file.Stat(&now); failed != nil {
		return a.failPart(failed)
	}
	if err := a.to.Byte(partEnd); err != nil {
		return err
	}
	if err := a.to.Uint(uint64(sum)); err != nil {
		return err
	}
	return a.names.sendStat(a.to, &now)
}

func (a *answerer) space() []byte {
	if a.buffer == nil {
		a.buffer = make([]byte, 256<<10)
	}
	return a.buffer
}
