// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
)

const (
	partialSuffix = ".part"
	recordSuffix  = ".done"
	// recordedPiece is how much of a file is copied between two notes.
	recordedPiece = 16 << 20
	// longestRecord is more than any file can need.
	longestRecord = 64 << 20
	recordFormat  = "migration-assistant 2"
	flushedBoot   = "flushed"
)

// partial is the unfinished content of a large file, and the record beside it of the source that it is a copy of and of
// the ranges that are written. Both have names that follow from the file's, so that the next run goes on with them. The
// nil partial has nothing written and records nothing.
type partial struct {
	directory fsys.Directory
	stem      string
	file      fsys.File // which is closed by whom it was opened for
	record    fsys.File
	boot      string // of the system that wrote it, or flushedBoot
	resumed   int64  // bytes that an earlier run wrote

	mutex sync.Mutex
	end   int64         // of the record
	done  []fsys.Extent // in order, and apart
}

// partialStem begins the names of what is kept of the file of that name while it is unfinished.
func partialStem(name string) string {
	sum := sha256.Sum256([]byte(name))
	return temporaryPrefix + hex.EncodeToString(sum[:temporaryDigits/2])
}

func (p *partial) name() string { return p.stem + partialSuffix }

// isResumable tells whether what is copied of a file is recorded, for a run that is stopped. Without a time of change
// the next run could not tell whether the source is still the same.
func (w *worker) isResumable(source *fsys.Stat) bool {
	parameters := w.job.parameters
	return parameters.resume && source.Size() > parameters.chunkSize && source.Changed() != fsys.Time{}
}

// openPartial goes on with what an earlier run left of the file, or begins anew. It gives nil where the file cannot have
// one, since another file of the directory has the same.
func (w *worker) openPartial(at *place, source *fsys.Stat) (*partial, error) {
	p := newPartial(at)
	found, free := w.job.claimPartial(at.directory.join(p.stem))
	if !free {
		return nil, nil
	}
	if found {
		if p.goOn(source, w.job.policy) {
			return p, nil
		}
		p.file.Close()
		p.discard()
	}
	return p, p.begin(source)
}

// resumedBytes tells how much of the file openPartial would find, for a dry run.
func (w *worker) resumedBytes(at *place, source *fsys.Stat) int64 {
	p := newPartial(at)
	if found, _ := w.job.claimPartial(at.directory.join(p.stem)); !found {
		return 0
	}
	defer p.close()
	if !p.goOn(source, w.job.policy) {
		p.resumed = 0
	}
	p.file.Close()
	return p.resumed
}

func newPartial(at *place) *partial {
	boot := fsys.BootID()
	if boot == "" {
		boot = flushedBoot
	}
	return &partial{directory: at.directory.destination, stem: partialStem(at.name), boot: boot}
}

func (p *partial) begin(source *fsys.Stat) (err error) {
	p.done, p.resumed = nil, 0
	if p.file, err = p.directory.CreateFile(p.name(), 0o600, true); err != nil {
		return err
	}
	if p.record, err = p.directory.CreateFile(p.stem+recordSuffix, 0o600, true); err == nil {
		err = p.restart(source)
	}
	if err != nil {
		p.file.Close()
		p.discard()
	}
	return err
}

// header is the first line of the record of this source, with its time of change, since that of modification can be put
// back after the content was written anew. It names the unfinished file too: another that was put in its place is not
// gone on with.
func (p *partial) header(source *fsys.Stat) (string, error) {
	var stat fsys.Stat
	err := p.file.Stat(&stat)
	modified, changed := source.Modified().Append(nil), source.Changed().Append(nil)
	return fmt.Sprintf("%s %s %d %s %s %d %d\n", recordFormat, p.boot,
		source.Size(), modified, changed, source.Identity().Number, stat.Identity().Number), err
}

func (p *partial) write(line string) error {
	err := p.record.WriteAt([]byte(line), p.end)
	p.end += int64(len(line))
	return err
}

// goOn opens what an earlier run left, if it is of this very source.
func (p *partial) goOn(source *fsys.Stat, policy *policy) bool {
	var err error
	if p.record, err = p.openOurs(p.stem+recordSuffix, longestRecord, policy); err != nil {
		return false
	}
	if p.file, err = p.openOurs(p.name(), source.Size(), policy); err != nil {
		return false
	}
	var stat fsys.Stat
	if p.record.Stat(&stat) != nil {
		return false
	}
	content := make([]byte, stat.Size())
	if _, err := io.ReadFull(&fsys.Stream{File: p.record}, content); err != nil {
		return false
	}
	header, err := p.header(source)
	ranges, same := strings.CutPrefix(string(content), header)
	if !same || err != nil {
		return false
	}
	// A line that was not written to its end does not count.
	ranges = ranges[:strings.LastIndexByte(ranges, '\n')+1]
	for line := range strings.Lines(ranges) {
		extent, err := readExtent(line)
		if err != nil || extent.Start < 0 || extent.Length() <= 0 || extent.End > source.Size() {
			return false
		}
		p.add(extent)
	}
	p.end = int64(len(header) + len(ranges))
	for _, extent := range p.done {
		p.resumed += extent.Length()
	}
	// Until the first range is written it may be shorter.
	return p.resumed > 0 && p.file.Stat(&stat) == nil && stat.Size() == source.Size()
}

func readExtent(line string) (extent fsys.Extent, err error) {
	start, end, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if extent.Start, err = strconv.ParseInt(start, 10, 64); err == nil {
		extent.End, err = strconv.ParseInt(end, 10, 64)
	}
	return extent, err
}

// openOurs opens a file of at most that size that only this user can have made.
func (p *partial) openOurs(name string, most int64, policy *policy) (fsys.File, error) {
	file, err := p.directory.OpenForWriting(name)
	if err != nil {
		return fsys.File{}, err
	}
	var stat fsys.Stat
	err = file.Stat(&stat)
	if err == nil && (!stat.IsRegular() || stat.Links() != 1 || stat.Size() > most || !policy.isOwn(&stat)) {
		err = replaced("destination")
	}
	if err != nil {
		file.Close()
		return fsys.File{}, err
	}
	return file, nil
}

// note records that a range is written.
func (p *partial) note(extent fsys.Extent) error {
	if p == nil {
		return nil
	}
	if p.boot == flushedBoot {
		if err := p.file.Flush(); err != nil {
			return err
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.add(extent)
	err := p.write(fmt.Sprintf("%d %d\n", extent.Start, extent.End))
	failpoint.Hit("file_sync.range_recorded")
	return err
}

// add joins a range with those that it touches.
func (p *partial) add(extent fsys.Extent) {
	first := 0
	for first < len(p.done) && p.done[first].End < extent.Start {
		first++
	}
	next := first
	for next < len(p.done) && p.done[next].Start <= extent.End {
		extent.Start = min(extent.Start, p.done[next].Start)
		extent.End = max(extent.End, p.done[next].End)
		next++
	}
	p.done = slices.Replace(p.done, first, next, extent)
}

// missing gives what of a range is not written.
func (p *partial) missing(wanted fsys.Extent) []fsys.Extent {
	if p == nil {
		return []fsys.Extent{wanted}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var missing []fsys.Extent
	for _, done := range p.done {
		if done.End <= wanted.Start || done.Start >= wanted.End {
			continue
		}
		if done.Start > wanted.Start {
			missing = append(missing, fsys.Extent{Start: wanted.Start, End: done.Start})
		}
		wanted.Start = done.End
	}
	if wanted.Length() > 0 {
		missing = append(missing, wanted)
	}
	return missing
}

// isBegun tells whether a range is written.
func (p *partial) isBegun() bool { return p != nil && len(p.done) > 0 }

// restart forgets what is written, since the source has become another.
func (p *partial) restart(source *fsys.Stat) error {
	if p == nil {
		return nil
	}
	p.done, p.resumed, p.end = nil, 0, 0
	if err := p.record.Truncate(0); err != nil {
		return err
	}
	header, err := p.header(source)
	if err != nil {
		return err
	}
	return p.write(header)
}

func (p *partial) close() {
	p.record.Close()
	p.record = fsys.File{}
}

// remove removes what there is of it; the record goes first, since it vouches for the rest.
func (p *partial) remove() {
	_ = p.directory.Remove(p.stem + recordSuffix)
	_ = p.directory.Remove(p.name())
}

func (p *partial) discard() {
	p.close()
	p.remove()
}

// leave ends the work on a file that has failed. What is written stays for the next run if it is the job that was
// stopped, and not the file that could not be copied.
func (p *partial) leave(stays bool) {
	if p == nil {
		return
	}
	if stays && p.isBegun() {
		p.close()
		return
	}
	p.discard()
}

// finish ends the work on a file that bears its own name now.
func (p *partial) finish() {
	if p == nil {
		return
	}
	p.close()
	_ = p.directory.Remove(p.stem + recordSuffix)
}

// claimPartial makes what is kept of an unfinished file belong to one worker: stem is its path. found tells that an
// earlier run left it, free that nobody has it yet.
func (j *syncJob) claimPartial(stem string) (found, free bool) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	found, known := j.partials[stem]
	j.partials[stem] = false
	return found, found || !known
}

// notePartials keeps what an earlier run left of files that are now to be copied. It gives the other entries of the
// destination whose names the source lacks.
func (w *worker) notePartials(d *directory, others []item, left []fsys.Entry) []fsys.Entry {
	isHalf := func(entry fsys.Entry, suffix string) bool {
		return entry.Type != fsys.TypeDirectory && strings.HasSuffix(entry.Name, suffix) && isTemporary(entry.Name)
	}
	halves := map[string]int{}
	for _, entry := range left {
		for _, suffix := range [...]string{partialSuffix, recordSuffix} {
			if isHalf(entry, suffix) {
				halves[strings.TrimSuffix(entry.Name, suffix)]++
			}
		}
	}
	if len(halves) == 0 || !w.job.parameters.resume {
		return left
	}
	kept := map[string]bool{}
	for _, entry := range others {
		if stem := partialStem(entry.name); entry.kind == fsys.TypeRegular && halves[stem] == 2 {
			kept[stem] = true
		}
	}
	w.job.mutex.Lock()
	defer w.job.mutex.Unlock()
	for stem := range kept {
		w.job.partials[d.join(stem)] = true
	}
	return slices.DeleteFunc(left, func(entry fsys.Entry) bool {
		return kept[strings.TrimSuffix(strings.TrimSuffix(entry.Name, partialSuffix), recordSuffix)] && isTemporary(entry.Name)
	})
}

// removePartials removes what an earlier run left of files that were not copied after all.
func (j *syncJob) removePartials() {
	w := j.newWorker()
	for stem, left := range j.partials {
		if !left || j.stopped.Load() {
			continue
		}
		d := &directory{}
		d.path, stem = split(stem)
		var err error
		if d.destination, err = j.reopenDestination(d.path); err == nil {
			for _, name := range [...]string{stem + recordSuffix, stem + partialSuffix} {
				j.entryFailed(d.join(name), w.removeTemporary(d, name))
			}
			d.destination.Close()
		}
		j.entryFailed(d.path, err)
	}
}
