// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/manifest"
	"migration.assistant/engine/internal/wire"
)

// The kinds of differences between a manifest and a tree.
const (
	missing    = "missing"
	mismatched = "mismatched"
	unexpected = "unexpected"
)

// verifyStatistics are those of verifying a tree.
type verifyStatistics struct {
	checksumStatistics
	FilesListed int64 `json:"files_listed"`
	Matched     int64 `json:"matched"`
	Missing     int64 `json:"missing"`
	Mismatched  int64 `json:"mismatched"`
	Unexpected  int64 `json:"unexpected"`
}

// comparison is what verifying has found; its methods may be used by several goroutines.
type comparison struct {
	job        *checksumJob
	listed     []manifest.Record
	seen       []bool // by place in listed; one worker writes each
	matched    int64
	mismatched []mismatch
	unexpected []string
}

// mismatch is a file that is not as its record says: it has another checksum by each algorithm, or is of another kind.
type mismatch struct {
	place int
	sums  map[*digest.Algorithm][]byte
	kind  string
}

// verify compares the tree with the manifest, and changes nothing.
func (j *checksumJob) verify(root fsys.Directory) (any, error) {
	listed, err := j.readManifest()
	if err != nil {
		root.Close()
		return nil, err
	}
	if j.parameters.algorithm == nil {
		algorithms := digest.Algorithms[:1]
		if len(listed) > 0 {
			algorithms = digest.OfSize(len(listed[0].Checksum()))
		}
		j.algorithms.Store(&algorithms)
	}
	c := &comparison{job: j, listed: listed, seen: make([]bool, len(listed))}
	j.comparison = c
	err = j.walk(root)
	statistics := &verifyStatistics{
		checksumStatistics: checksumStatistics{j.counters(), (*j.algorithms.Load())[0].Name},
		FilesListed:        int64(len(listed)),
		Matched:            c.matched,
		Mismatched:         int64(len(c.mismatched)),
		Unexpected:         int64(len(c.unexpected)),
	}
	if err != nil {
		return statistics, err
	}
	statistics.Missing = c.report()
	return statistics, c.verdict(statistics)
}

func (j *checksumJob) readManifest() ([]manifest.Record, error) {
	place := j.place
	file, err := openSame(place.directory, place.name, &place.stat, "manifest")
	if err != nil {
		return nil, wire.Fail(wire.IOError, "unable to read the manifest %s: %s", place.path, fsys.Reason(err))
	}
	defer file.Close()
	var sizes []int
	for _, algorithm := range digest.Algorithms {
		if wanted := j.parameters.algorithm; (wanted == nil || wanted == algorithm) && !slices.Contains(sizes, algorithm.Size) {
			sizes = append(sizes, algorithm.Size)
		}
	}
	listed, err := manifest.Read(&fsys.Stream{File: file}, sizes)
	var line *manifest.LineError
	var twice *manifest.DuplicateError
	switch {
	case errors.As(err, &line):
		return nil, wire.Fail(wire.ManifestInvalid, "the manifest %s, line %d: %s", place.path, line.Line, line.Message)
	case errors.As(err, &twice):
		return nil, wire.Fail(wire.ManifestInvalid, "the manifest %s %w", place.path, err)
	case err != nil:
		return nil, wire.Fail(wire.IOError, "unable to read the manifest %s: %s", place.path, fsys.Reason(err))
	}
	return listed, nil
}

// find gives the place of a file in the manifest; without one it notes the file as unexpected and gives -1.
func (c *comparison) find(path string) int {
	if place, found := manifest.Find(c.listed, path); found {
		return place
	}
	c.job.mutex.Lock()
	defer c.job.mutex.Unlock()
	c.unexpected = append(c.unexpected, path)
	return -1
}

// skipped deals with an entry that is not read: it is no regular file, or one of ours.
func (c *comparison) skipped(path string, kind fsys.Type) {
	place, found := manifest.Find(c.listed, path)
	if !found {
		return
	}
	c.seen[place] = true
	if kind == fsys.TypeRegular {
		return
	}
	c.job.mutex.Lock()
	defer c.job.mutex.Unlock()
	c.mismatched = append(c.mismatched, mismatch{place: place, kind: kind.Kind()})
}

// compare judges a file by its checksums. The first file that is as the manifest says shows by which of several
// algorithms the manifest was made.
func (c *comparison) compare(job *checksumJob, place int, algorithms []*digest.Algorithm, sums [][]byte, err error) {
	if err == errVanished {
		return // it is missing
	}
	c.seen[place] = true
	if err != nil {
		return
	}
	job.mutex.Lock()
	defer job.mutex.Unlock()
	chosen := *job.algorithms.Load()
	found := map[*digest.Algorithm][]byte{}
	for index, algorithm := range algorithms {
		found[algorithm] = sums[index]
		if slices.Contains(chosen, algorithm) && string(sums[index]) == c.listed[place].Checksum() {
			job.algorithms.Store(&[]*digest.Algorithm{algorithm})
			c.matched++
			return
		}
	}
	c.mismatched = append(c.mismatched, mismatch{place: place, sums: found})
}

// report emits the differences in the order of their paths, and tells how many files are missing.
func (c *comparison) report() (count int64) {
	job := c.job
	algorithm := (*job.algorithms.Load())[0]
	for place, record := range c.listed {
		path := record.Path()
		if !c.seen[place] && !hidesBelow(job.parameters.filters, path) && !job.isUnread(path) {
			job.Difference(missing, wire.Path(path), hex.EncodeToString([]byte(record.Checksum())), "")
			count++
		}
	}
	slices.SortFunc(c.mismatched, func(one, other mismatch) int { return one.place - other.place })
	for _, different := range c.mismatched {
		record := c.listed[different.place]
		found := different.kind
		if found == "" {
			found = hex.EncodeToString(different.sums[algorithm])
		}
		job.Difference(mismatched, wire.Path(record.Path()), hex.EncodeToString([]byte(record.Checksum())), found)
	}
	slices.Sort(c.unexpected)
	for _, path := range c.unexpected {
		job.Difference(unexpected, wire.Path(path), "", "")
	}
	return count
}

// verdict gives the failure of a job that found differences, or could not look at everything.
func (c *comparison) verdict(s *verifyStatistics) error {
	failing := s.Missing + s.Mismatched
	if c.job.parameters.extrasFail {
		failing += s.Unexpected
	}
	if failing == 0 {
		return c.job.PartialFailure()
	}
	message := fmt.Sprintf("the tree differs from the manifest %s: %d missing, %d mismatched, %d unexpected",
		c.job.place.path, s.Missing, s.Mismatched, s.Unexpected)
	if unread := c.job.Meter.ErrorCount.Load(); unread > 0 {
		message += fmt.Sprintf("; %d could not be read", unread)
	}
	return wire.Fail(wire.VerificationFailed, "%s", message)
}

// isUnread tells whether a path lies in a directory that could not be read.
func (j *checksumJob) isUnread(path string) bool {
	if len(j.unread) == 0 {
		return false
	}
	if j.unread[""] {
		return true
	}
	for end := range path {
		if path[end] == '/' && j.unread[path[:end]] {
			return true
		}
	}
	return false
}

// hidesBelow tells whether a file, or a directory on the way to it, is left out.
func hidesBelow(list *filters.List, path string) bool {
	for end := strings.IndexByte(path, '/'); end >= 0; {
		if list.Hides(path[:end], true) {
			return true
		}
		next := strings.IndexByte(path[end+1:], '/')
		if next < 0 {
			break
		}
		end += 1 + next
	}
	return list.Hides(path, false)
}
