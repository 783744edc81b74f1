// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"strings"

	"migration.assistant/engine/internal/fsys"
)

const (
	temporaryPrefix = ".migration-assistant-"
	temporarySuffix = ".tmp"
	temporaryDigits = 16
)

// isTemporary tells whether only our own unfinished work has such a name.
func isTemporary(name string) bool {
	const stem = len(temporaryPrefix) + temporaryDigits
	if len(name) <= stem || !strings.HasPrefix(name, temporaryPrefix) {
		return false
	}
	switch name[stem:] {
	case temporarySuffix, partialSuffix, recordSuffix:
		return strings.Trim(name[len(temporaryPrefix):stem], "0123456789abcdef") == ""
	}
	return false
}

func (w *worker) temporaryName() string {
	const hex = "0123456789abcdef"
	name := make([]byte, 0, len(temporaryPrefix)+temporaryDigits+len(temporarySuffix))
	name = append(name, temporaryPrefix...)
	for number, digit := w.random.Uint64(), 0; digit < temporaryDigits; digit++ {
		name = append(name, hex[number&15])
		number >>= 4
	}
	return string(append(name, temporarySuffix...))
}

// place is where an entry goes: a name in the destination's directory, and what has the name now.
type place struct {
	directory *directory
	name      string
	present   bool
	stat      fsys.Stat  // if present
	target    string     // of a symbolic link that is present
	partial   *partial   // of a file whose copying is recorded
	reused    int64      // how much of the file that is replaced was taken over
	group     *linkGroup // of an entry with several names
	listed    bool       // an access control list says who may use it
	torn      bool       // the source went on changing while it was copied
}

// existing gives what has the name now, nil for nothing.
func (p *place) existing() *fsys.Stat {
	if p.present {
		return &p.stat
	}
	return nil
}

// isFile tells whether a regular file has the name now.
func (p *place) isFile() bool { return p.present && p.stat.IsRegular() }

// put gives a finished temporary entry its name. Only an empty directory is removed to make room.
func (w *worker) put(at *place, temporary string) error {
	destination := at.directory.destination
	at.directory.written.Store(true)
	w.job.noteLoss(at.existing())
	if !at.present {
		err := destination.Rename(temporary, at.name)
		if !fsys.IsExist(err) {
			return err
		}
		if err := w.taken(destination, at.name); err != nil {
			return err
		}
	} else if at.stat.IsDirectory() {
		if err := destination.RemoveDirectory(at.name); err != nil && !fsys.IsNotExist(err) {
			return err
		}
	}
	return destination.Replace(temporary, at.name)
}

// discard removes an unfinished temporary entry; the error that led here is the one worth telling.
func (p *place) discard(temporary string) {
	_ = p.directory.destination.Remove(temporary)
}
