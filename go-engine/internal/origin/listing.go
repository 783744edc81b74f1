// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"errors"
	"io/fs"
	"sort"
	"strings"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
)

// listing is what another host has told of a directory.
type listing struct {
	tree       *Tree
	path       string
	stat       fsys.Stat
	attributes fsys.Attributes
	failed     error // why there are no attributes
	entries    []entry

	arrived chan struct{}
	err     error // why there is no listing
	ahead   bool  // asked for ahead of need
}

// entry is one of a directory on another host. failed tells why its target or attributes are not known; of an entry
// without a type nothing is known.
type entry struct {
	name       string
	stat       fsys.Stat
	target     string
	attributes fsys.Attributes
	failed     error
}

// names gives all names with their types.
func (l *listing) names() []fsys.Entry {
	names := make([]fsys.Entry, len(l.entries))
	for index := range l.entries {
		names[index] = fsys.Entry{Name: l.entries[index].name, Type: l.entries[index].stat.Type()}
	}
	return names
}

// find gives the entry of that name.
func (l *listing) find(name string) (*entry, error) {
	index := sort.Search(len(l.entries), func(index int) bool { return l.entries[index].name >= name })
	if index == len(l.entries) || l.entries[index].name != name {
		return nil, fs.ErrNotExist
	}
	found := &l.entries[index]
	if found.stat.Type() == 0 {
		return nil, found.failed
	}
	return found, nil
}

// read reads the answer to the question for a listing.
func (l *listing) read(s *stream) error {
	if err := s.answer(); err != nil {
		return err
	}
	from := s.from
	var err error
	if l.stat, err = l.tree.owners.readStat(from); err != nil {
		return lost(err)
	}
	if l.tree.wanted.Attributes {
		if l.attributes, l.failed, err = l.tree.owners.readAttributes(from); err != nil {
			return lost(err)
		}
	}
	sorted := true
	for len(l.entries) < mostEntries {
		name, err := from.Text(longestName)
		if err != nil {
			return lost(err)
		}
		if name == "" {
			break
		}
		if name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return lost(errors.New("the other engine sent the impossible name " + name))
		}
		sorted = sorted && (len(l.entries) == 0 || l.entries[len(l.entries)-1].name < name)
		l.entries = append(l.entries, entry{name: name})
		if err := l.readEntry(from, &l.entries[len(l.entries)-1]); err != nil {
			return lost(err)
		}
	}
	if !sorted {
		sort.Slice(l.entries, func(one, other int) bool { return l.entries[one].name < l.entries[other].name })
	}
	return nil
}

func (l *listing) readEntry(from *far.Reader, into *entry) error {
	var told *failure
	if err := readAnswer(from); errors.As(err, &told) {
		into.failed = told
		return nil
	} else if err != nil {
		return err
	}
	var err error
	if into.stat, err = l.tree.owners.readStat(from); err != nil {
		return err
	}
	switch {
	case into.stat.IsSymlink():
		if err := readAnswer(from); errors.As(err, &told) {
			into.failed = told
			return nil
		} else if err != nil {
			return err
		}
		into.target, err = from.Text(longestName)
		return err
	case into.stat.IsDirectory() || !l.tree.wanted.Attributes:
		return nil
	}
	into.attributes, into.failed, err = l.tree.owners.readAttributes(from)
	return err
}
