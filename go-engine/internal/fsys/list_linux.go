// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lister reads directories; it keeps its buffers between calls, and is for one goroutine.
type Lister struct {
	buffer []byte
	names  []byte
	ends   []int
}

const (
	listBuffer = 64 << 10
	nameOffset = int(unsafe.Offsetof(unix.Dirent{}.Name))
	sizeOffset = int(unsafe.Offsetof(unix.Dirent{}.Reclen))
	typeOffset = int(unsafe.Offsetof(unix.Dirent{}.Type))
)

// List reads all names of a directory that was just opened, in the order of the file system.
func (l *Lister) List(directory Directory) ([]Entry, error) {
	if l.buffer == nil {
		l.buffer = make([]byte, listBuffer)
	}
	l.names, l.ends = l.names[:0], l.ends[:0]
	var entries []Entry
	for {
		length, err := unix.Getdents(directory.descriptor(), l.buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if length == 0 {
			if directory.follows {
				forgetLinks(entries)
			}
			return l.named(entries), nil
		}
		if entries, err = l.parse(entries, l.buffer[:length]); err != nil {
			return nil, err
		}
	}
}

func (l *Lister) parse(entries []Entry, records []byte) ([]Entry, error) {
	for len(records) > nameOffset {
		size := int(binary.NativeEndian.Uint16(records[sizeOffset:]))
		if size <= nameOffset || size > len(records) {
			return nil, fmt.Errorf("the file system gave a directory record of %d bytes", size)
		}
		name := records[nameOffset:size]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		// A name with a slash can only come from a broken or hostile file system, and would lead elsewhere.
		if bytes.IndexByte(name, '/') >= 0 || len(name) == 0 {
			return nil, fmt.Errorf("the file system gave the impossible name %q", name)
		}
		if string(name) != "." && string(name) != ".." {
			l.names = append(l.names, name...)
			l.ends = append(l.ends, len(l.names))
			entries = append(entries, Entry{Type: Type(records[typeOffset]) << 12})
		}
		records = records[size:]
	}
	return entries, nil
}

// named gives the entries their names, which share one string.
func (l *Lister) named(entries []Entry) []Entry {
	all, start := string(l.names), 0
	for index, end := range l.ends {
		entries[index].Name = all[start:end]
		start = end
	}
	return entries
}

// ReadLink reads the target of a symbolic link.
func (l *Lister) ReadLink(parent Directory, name string) (string, error) {
	if l.buffer == nil {
		l.buffer = make([]byte, listBuffer)
	}
	length, err := unix.Readlinkat(parent.descriptor(), name, l.buffer)
	if err != nil {
		return "", err
	}
	return string(l.buffer[:length]), nil
}
