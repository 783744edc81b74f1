// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// Many file systems take names for the same that differ in case alone, and some do so in one directory and not in
// another. That is not read from a table but tried: a name that is not listed and yet found is another's.

// spellings are the names of a destination's directory, in a form in which those are equal that may be the same.
type spellings struct {
	worker    *worker
	directory *directory
	listed    map[string]fsys.Entry // what the destination has
	first     map[string]string     // of those that it seems to lack, the least
	claimed   map[string]bool       // names at the destination that stand for an entry of the source
}

// matchSpellings looks at the entries that the destination seems to lack. One that it has by another spelling is that
// entry; one that it could only have in the place of another is left out, and has failed. left are the entries of the
// destination whose names the source lacks; those that are still without one are given.
func (w *worker) matchSpellings(d *directory, directories, others *[]item, listed, left []fsys.Entry) []fsys.Entry {
	if !haveCase(*directories, *others, listed) {
		return left
	}
	s := &spellings{
		worker:    w,
		directory: d,
		listed:    make(map[string]fsys.Entry, len(listed)),
		first:     make(map[string]string, len(*directories)+len(*others)),
		claimed:   make(map[string]bool, len(listed)),
	}
	for _, entry := range listed {
		key := foldCase(entry.Name)
		if _, twice := s.listed[key]; twice {
			return left // this directory distinguishes them
		}
		s.listed[key] = entry
		s.claimed[entry.Name] = true
	}
	for _, entry := range left {
		s.claimed[entry.Name] = false
	}
	s.note(*directories)
	s.note(*others)
	*directories = s.match(*directories)
	*others = s.match(*others)
	return s.unclaimed(left)
}

// haveCase tells whether there is an entry that the destination seems to lack, and a name that can be spelled otherwise.
func haveCase(directories, others []item, listed []fsys.Entry) bool {
	lacking, found := false, false
	for _, items := range [][]item{directories, others} {
		for index := range items {
			if items[index].existing == absent {
				lacking = true
				found = found || !isPlain(items[index].name)
			}
		}
	}
	if !lacking || found {
		return lacking
	}
	for _, entry := range listed {
		if !isPlain(entry.Name) {
			return true
		}
	}
	return false
}

// isPlain tells whether a name is what foldCase makes of it for sure.
func isPlain(name string) bool {
	for index := range len(name) {
		if c := name[index]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// foldCase gives a form that is equal for names that differ in case alone. Bytes that are not text stay as they are.
func foldCase(name string) string {
	if utf8.ValidString(name) {
		return strings.ToLower(name)
	}
	folded := []byte(name)
	for index, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[index] = c + 'a' - 'A'
		}
	}
	return string(folded)
}

func (s *spellings) note(items []item) {
	for index := range items {
		if entry := &items[index]; entry.existing == absent {
			key := foldCase(entry.name)
			if least, known := s.first[key]; !known || entry.name < least {
				s.first[key] = entry.name
			}
		}
	}
}

// match gives the items that can be made.
func (s *spellings) match(items []item) []item {
	kept := items[:0]
	for _, entry := range items {
		if entry.existing == absent {
			if err := s.find(&entry); err != nil {
				s.worker.job.entryFailed(s.directory.join(entry.name), err)
				continue
			}
		}
		kept = append(kept, entry)
	}
	return kept
}

// find looks for another entry that has the name in the eyes of the destination.
func (s *spellings) find(entry *item) error {
	key := foldCase(entry.name)
	least := s.first[key]
	there, listed := s.listed[key]
	if !listed {
		if entry.name != least && s.worker.foldsCase(s.directory, s.listed) {
			return sameName(least)
		}
		return nil
	}
	if !isFound(s.directory, entry.name) {
		return nil
	}
	if entry.name != least {
		return sameName(least)
	}
	if s.claimed[there.Name] {
		return sameName(there.Name)
	}
	s.claimed[there.Name] = true
	s.worker.job.Warning("name_differs", fmt.Sprintf("the destination has it as %s, which is the same name there", there.Name),
		display(s.directory.join(entry.name)))
	var err error
	if entry.existing = there.Type; there.Type == 0 {
		entry.existing, err = typeOf(s.directory.destination, there.Name)
	}
	return unable("read the destination", err)
}

func (s *spellings) unclaimed(left []fsys.Entry) []fsys.Entry {
	kept := left[:0]
	for _, entry := range left {
		if !s.claimed[entry.Name] {
			kept = append(kept, entry)
		}
	}
	return kept
}

func sameName(other string) error {
	return &entryError{
		code:    wire.NameClash,
		message: fmt.Sprintf("the destination takes this name and %s for the same; it can have only one of them", other),
	}
}

// isFound tells whether the destination knows a name.
func isFound(d *directory, name string) bool {
	var stat fsys.Stat
	return d.destination.IsOpen() && d.destination.Lstat(name, &stat) == nil
}

// isOne tells whether both names lead to the same entry of the destination.
func isOne(d *directory, one, other string) bool {
	var first, second fsys.Stat
	return d.destination.IsOpen() && d.destination.Lstat(one, &first) == nil &&
		d.destination.Lstat(other, &second) == nil && first.IsSame(&second)
}

// foldsCase tells whether names that differ in case are the same in a directory of the destination, by looking up one
// that it has. Where it has none, it will be as the directory is that it is in.
func (w *worker) foldsCase(d *directory, listed map[string]fsys.Entry) bool {
	for _, entry := range listed {
		if swapped := swapCase(entry.Name); swapped != entry.Name {
			return isFound(d, swapped)
		}
	}
	for ; d.parent != nil; d = d.parent {
		name := path.Base(d.path)
		if swapped := swapCase(name); swapped != name && d.destination.IsOpen() {
			return isOne(d.parent, name, swapped)
		}
	}
	return w.job.roots.foldsCase()
}

// fewNames are enough to find one that has a letter.
const fewNames = 100

// pathFoldsCase tells the same of the directory that has the path, or will have it, by what is in it or above it.
func pathFoldsCase(path string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for current := path; ; current = filepath.Dir(current) {
		for _, name := range someNames(current) {
			swapped := swapCase(name)
			if swapped == name {
				continue
			}
			one, err := os.Lstat(filepath.Join(current, name))
			if err != nil {
				continue
			}
			other, err := os.Lstat(filepath.Join(current, swapped))
			return err == nil && os.SameFile(one, other)
		}
		if current == filepath.Dir(current) {
			return fsys.FoldsCase
		}
	}
}

func someNames(path string) []string {
	directory, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(fewNames) // as many as can be read
	return names
}

// swapCase changes the case of the letters of ASCII.
func swapCase(name string) string {
	swapped := []byte(name)
	for index, c := range swapped {
		if 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			swapped[index] = c ^ ('a' - 'A')
		}
	}
	return string(swapped)
}

// taken tells why an entry cannot have its name although the listing had nothing of that name; nil if something has
// got it since.
func (w *worker) taken(destination fsys.Directory, name string) error {
	opened, err := destination.OpenDirectory(".")
	if err != nil {
		return unable("read the destination", err)
	}
	defer opened.Close()
	entries, err := w.lister.List(opened)
	if err != nil {
		return unable("read the destination", err)
	}
	other := "that of another entry"
	for _, entry := range entries {
		if entry.Name == name {
			return nil
		}
		if foldCase(entry.Name) == foldCase(name) {
			other = entry.Name
		}
	}
	return sameName(other)
}
