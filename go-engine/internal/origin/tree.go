// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"errors"
	"strings"

	"migration.assistant/engine/internal/fsys"
)

// ErrReplaced tells that something else has taken the place of a file since it was listed.
var ErrReplaced = errors.New("it was replaced by something else")

// errTooMany tells that a directory has more entries than are worth being sent ahead of need.
var errTooMany = errors.New("it has too many entries")

// Directory is an open directory of a tree. The zero value is none.
type Directory struct {
	local fsys.Directory
	far   *listing
}

// Here gives an open directory of this host as one of a tree.
func Here(directory fsys.Directory) Directory { return Directory{local: directory} }

// Tree gives the tree on another host that the directory belongs to; nil for one on this host.
func (d Directory) Tree() *Tree {
	if d.far == nil {
		return nil
	}
	return d.far.tree
}

// CheckThere tells by a Failure that the tree, of which this is the root, has vanished since it was opened by its path.
func (d Directory) CheckThere(path string) error {
	if d.far == nil {
		return checkThere(path, d.local)
	}
	return d.far.tree.there()
}

// Stat reads what the directory is.
func (d Directory) Stat(stat *fsys.Stat) error {
	if d.far == nil {
		return d.local.Stat(stat)
	}
	*stat = d.far.stat
	return nil
}

// List gives all names in the directory.
func (d Directory) List(lister *fsys.Lister) ([]fsys.Entry, error) {
	if d.far == nil {
		return lister.List(d.local)
	}
	return d.far.names(), nil
}

// Lstat reads what the name is.
func (d Directory) Lstat(name string, stat *fsys.Stat) error {
	if d.far == nil {
		return d.local.Lstat(name, stat)
	}
	found, err := d.far.find(name)
	if err == nil {
		*stat = found.stat
	}
	return err
}

// ReadLink reads the target of a symbolic link.
func (d Directory) ReadLink(lister *fsys.Lister, name string) (string, error) {
	if d.far == nil {
		return lister.ReadLink(d.local, name)
	}
	found, err := d.far.find(name)
	if err != nil {
		return "", err
	}
	return found.target, found.failed
}

// Attributes reads the extended attributes of the directory.
func (d Directory) Attributes() (fsys.Attributes, error) {
	if d.far == nil {
		return d.local.Handle().Attributes()
	}
	return d.far.attributes, d.far.failed
}

// EntryAttributes reads the extended attributes of an entry that is no symbolic link.
func (d Directory) EntryAttributes(name string) (fsys.Attributes, error) {
	if d.far == nil {
		return d.local.EntryAttributes(name)
	}
	found, err := d.far.find(name)
	if err != nil {
		return nil, err
	}
	return found.attributes, found.failed
}

// OpenDirectory opens the directory of that name.
func (d Directory) OpenDirectory(name string) (Directory, error) {
	if d.far == nil {
		opened, err := d.local.OpenDirectory(name)
		return Directory{local: opened}, err
	}
	return d.far.tree.open(join(d.far.path, name))
}

// OpenBelow opens the directory at a path below this one, which is a root.
func (d Directory) OpenBelow(path string) (Directory, error) {
	if d.far == nil {
		opened, err := d.local.OpenBelow(path, fsys.Directory.OpenDirectory)
		return Directory{local: opened}, err
	}
	return d.far.tree.open(path)
}

// OpenFile opens a file of this host for reading. What is on another host is opened by a Fetcher.
func (d Directory) OpenFile(name string) (File, error) {
	opened, err := d.local.OpenFile(name)
	return File{local: opened}, err
}

// Close closes the directory, if there is one.
func (d Directory) Close() { d.local.Close() }

// File is an open file of a tree. The zero value is none.
type File struct {
	local fsys.File
	far   *content
}

// IsOpen tells whether there is a file.
func (f File) IsOpen() bool { return f.far != nil || f.local.IsOpen() }

// Local gives the file of this host; none for one on another.
func (f File) Local() fsys.File { return f.local }

// IsFar tells whether the file is on another host.
func (f File) IsFar() bool { return f.far != nil }

// Stat reads what the file is: of one on another host, what it was when the last of it was read.
func (f File) Stat(stat *fsys.Stat) error {
	if f.far == nil {
		return f.local.Stat(stat)
	}
	*stat = f.far.stat
	return nil
}

// Attributes reads the extended attributes of the file.
func (f File) Attributes() (fsys.Attributes, error) {
	if f.far == nil {
		return f.local.Handle().Attributes()
	}
	return f.far.entry.attributes, f.far.entry.failed
}

// Close closes the file, if there is one.
func (f File) Close() {
	if f.far != nil {
		f.far.discard()
		return
	}
	f.local.Close()
}

func join(directory, name string) string {
	if directory == "" {
		return name
	}
	return directory + "/" + name
}

func split(path string) (directory, name string) {
	if at := strings.LastIndexByte(path, '/'); at >= 0 {
		return path[:at], path[at+1:]
	}
	return "", path
}
