// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

import (
	"io"
	"io/fs"
)

// Lister reads directories.
type Lister struct{}

// List reads all names of a directory, in the order of the file system.
func (l *Lister) List(directory Directory) ([]Entry, error) {
	if _, err := directory.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	found, err := directory.file.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(found))
	for index, entry := range found {
		entries[index] = Entry{Name: entry.Name(), Type: typeOf(entry.Type())}
	}
	return entries, nil
}

func typeOf(mode fs.FileMode) Type {
	switch mode & fs.ModeType {
	case 0:
		return TypeRegular
	case fs.ModeDir:
		return TypeDirectory
	case fs.ModeSymlink:
		return TypeSymlink
	case fs.ModeNamedPipe:
		return TypeFifo
	case fs.ModeSocket:
		return TypeSocket
	case fs.ModeDevice:
		return TypeBlockDevice
	case fs.ModeDevice | fs.ModeCharDevice:
		return TypeCharacterDevice
	}
	return TypeOther
}

// ReadLink reads the target of a symbolic link.
func (l *Lister) ReadLink(parent Directory, name string) (string, error) {
	return parent.root.Readlink(name)
}
