// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// What is asked for, each by one byte. All answers begin with one byte too: that of a failure, or answerGood.
const (
	askList   = 'L' // a directory, by its path
	askAhead  = 'A' // the same ahead of need, if it has no more entries than mostEntriesAhead
	askFile   = 'F' // a range of a file
	askDelta  = 'X' // the same, without the blocks that the other end knows
	askCensus = 'C' // how much there is in the tree
	askThere  = 'T' // whether there still is a tree
	// The checksum of a file's first bytes; the other one may be remembered from earlier.
	askChecksum = 'D'
	askKnown    = 'K'
)

// What a stream is to tell of each entry, as bits.
const (
	wantAttributes = 1 << iota
	wantNames
	wantTargets // of symbolic links, in their place
	wantLabels  // SELinux contexts
)

// Failures, and what else an answer may begin with.
const (
	answerGood byte = iota
	failedOtherwise
	failedNotExist
	failedReplaced
	failedJob // the whole job, with a code of the protocol
	failedDangling
	failedTooMany // entries, of a directory that is asked for ahead of need
)

// Parts of a file.
const (
	partData = 'd' // its length in four bytes, and the bytes
	partHole = 'h' // its length
	partSame = 's' // the length of what the other end knows
	partEnd  = 'e' // the checksum of the data, and what the file is by now
	partFail = 'f' // the file cannot be read further
)

// Limits of what the other end may send.
const (
	longestName  = 64 << 10
	longestPath  = 16 << 20
	longestValue = 4 << 20
	mostEntries  = 1 << 28
)

// failure is what went wrong on the other host.
type failure struct {
	code byte
	text string
}

func (f *failure) Error() string { return f.text }

func (f *failure) Is(target error) bool {
	switch f.code {
	case failedNotExist:
		return target == fs.ErrNotExist
	case failedReplaced:
		return target == ErrReplaced
	case failedDangling:
		return target == fsys.ErrDangling
	case failedTooMany:
		return target == errTooMany
	}
	return false
}

func sendFailure(to *far.Writer, err error) error {
	code, texts := failedOtherwise, []string{fsys.Reason(err)}
	var job *wire.Failure
	switch {
	case errors.As(err, &job):
		code, texts = failedJob, []string{job.Code, job.Message}
	case errors.Is(err, ErrReplaced):
		code = failedReplaced
	case errors.Is(err, fsys.ErrDangling):
		code = failedDangling
	case err == errTooMany:
		code = failedTooMany
	case fsys.IsNotExist(err):
		code = failedNotExist
	}
	if err := to.Byte(code); err != nil {
		return err
	}
	for _, text := range texts {
		if err := to.Text(text); err != nil {
			return err
		}
	}
	return nil
}

// readAnswer reads how an answer begins: an error of this host or the failure that the other one tells.
func readAnswer(from *far.Reader) error {
	code, err := from.ReadByte()
	if err != nil || code == answerGood {
		return lost(err)
	}
	return readFailure(from, code)
}

func readFailure(from *far.Reader, code byte) error {
	text, err := from.Text(longestName)
	if err != nil {
		return lost(err)
	}
	if code != failedJob {
		return &failure{code, text}
	}
	message, err := from.Text(longestName)
	if err != nil {
		return lost(err)
	}
	return wire.Fail(text, "%s", message)
}

// lost tells an end of the stream as what it is: the other host is gone.
func lost(err error) error {
	if err == nil {
		return nil
	}
	if err == io.EOF {
		return far.ErrLost
	}
	return fmt.Errorf("%w: %w", far.ErrLost, err)
}

// sendStat sends what an entry is.
func (n *namer) sendStat(to *far.Writer, stat *fsys.Stat) error {
	d := stat.Details()
	sparse := uint64(0)
	if d.Sparse {
		sparse = 1
	}
	for _, value := range [...]uint64{
		uint64(d.Type)>>12<<1 | sparse, uint64(d.Permissions), uint64(d.Size), uint64(d.Modified.Nanoseconds),
		uint64(d.Changed.Nanoseconds), d.Links, d.Identity.Device, d.Identity.Number,
	} {
		if err := to.Uint(value); err != nil {
			return err
		}
	}
	for _, one := range [...]owner{{false, d.User}, {true, d.Group}} {
		if err := n.send(to, one); err != nil {
			return err
		}
	}
	if err := to.Int(d.Modified.Seconds); err != nil {
		return err
	}
	if err := to.Int(d.Changed.Seconds); err != nil || !stat.IsDevice() {
		return err
	}
	if err := to.Uint(uint64(d.Major)); err != nil {
		return err
	}
	return to.Uint(uint64(d.Minor))
}

func (o *owners) readStat(from *far.Reader) (fsys.Stat, error) {
	var values [8]uint64
	for index := range values {
		var err error
		if values[index], err = from.Uint(); err != nil {
			return fsys.Stat{}, err
		}
	}
	d := fsys.Details{
		Type: fsys.Type(values[0] >> 1 << 12), Sparse: values[0]&1 == 1, Permissions: uint32(values[1]) & 0o7777,
		Size: int64(values[2]), Links: values[5], Identity: fsys.Identity{Device: values[6], Number: values[7]},
	}
	var err error
	if d.User, err = o.read(from, false); err != nil {
		return fsys.Stat{}, err
	}
	if d.Group, err = o.read(from, true); err != nil {
		return fsys.Stat{}, err
	}
	d.Modified.Nanoseconds, d.Changed.Nanoseconds = int64(values[3]), int64(values[4])
	for _, time := range [...]*fsys.Time{&d.Modified, &d.Changed} {
		if time.Seconds, err = from.Int(); err != nil {
			return fsys.Stat{}, err
		}
	}
	if d.Size < 0 || max(values[3], values[4]) >= 1e9 {
		return fsys.Stat{}, fmt.Errorf("the other engine sent an impossible size or time")
	}
	if d.Type == fsys.TypeBlockDevice || d.Type == fsys.TypeCharacterDevice {
		major, err := from.Uint()
		if err != nil {
			return fsys.Stat{}, err
		}
		minor, err := from.Uint()
		if err != nil {
			return fsys.Stat{}, err
		}
		d.Major, d.Minor = uint32(major), uint32(minor)
	}
	return d.Stat(), nil
}

// sendAttributes sends extended attributes, or why there are none.
func (n *namer) sendAttributes(to *far.Writer, attributes fsys.Attributes, failed error) error {
	if failed != nil {
		return sendFailure(to, failed)
	}
	if err := to.Byte(answerGood); err != nil {
		return err
	}
	if err := to.Uint(uint64(len(attributes))); err != nil {
		return err
	}
	for name, value := range attributes {
		if err := to.Text(name); err != nil {
			return err
		}
		if err := to.Text(value); err != nil {
			return err
		}
	}
	if len(attributes) == 0 {
		return nil
	}
	return n.sendLists(to, attributes)
}

// readAttributes reads them; failed is what the other host could not do, err what this one cannot.
func (o *owners) readAttributes(from *far.Reader) (attributes fsys.Attributes, failed, err error) {
	if err := readAnswer(from); err != nil {
		var told *failure
		if errors.As(err, &told) {
			return nil, told, nil
		}
		return nil, nil, err
	}
	count, err := from.Uint()
	if err != nil || count == 0 {
		return nil, nil, err
	}
	attributes = fsys.Attributes{}
	for range count {
		name, err := from.Text(longestName)
		if err != nil {
			return nil, nil, err
		}
		value, err := from.Text(longestValue)
		if err != nil {
			return nil, nil, err
		}
		attributes[name] = value
	}
	return attributes, nil, o.readLists(from, attributes)
}
