// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Lister reads directories; it keeps its buffer between calls, and is for one goroutine.
type Lister struct{ buffer []uint64 }

// The layout of a FILE_ID_BOTH_DIR_INFO.
const (
	listBuffer       = 64 << 10
	nextOffset       = 0
	attributesOffset = 56
	lengthOffset     = 60
	tagOffset        = 64 // where a reparse point has its tag
	nameOffset       = 104
)

// List reads all names of a directory, in the order of the file system.
func (l *Lister) List(directory Directory) ([]Entry, error) {
	if l.buffer == nil {
		l.buffer = make([]uint64, listBuffer/8)
	}
	records := unsafe.Slice((*byte)(unsafe.Pointer(&l.buffer[0])), listBuffer)
	var entries []Entry
	for class := uint32(windows.FileIdBothDirectoryRestartInfo); ; class = windows.FileIdBothDirectoryInfo {
		err := windows.GetFileInformationByHandleEx(directory.handle, class, &records[0], listBuffer)
		if err == windows.ERROR_NO_MORE_FILES {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		if entries, err = parse(entries, records); err != nil {
			return nil, err
		}
	}
}

// parse adds the entries of a buffer that the system has filled.
func parse(entries []Entry, records []byte) ([]Entry, error) {
	for {
		if len(records) < nameOffset {
			return nil, fmt.Errorf("the file system gave a directory record of %d bytes", len(records))
		}
		length := binary.LittleEndian.Uint32(records[lengthOffset:])
		if int(length) > len(records)-nameOffset {
			return nil, fmt.Errorf("the file system gave a name of %d bytes", length)
		}
		name := decode(records[nameOffset : nameOffset+int(length)])
		// A name with a separator can only come from a broken or hostile file system, and would lead elsewhere.
		if name == "" || strings.ContainsAny(name, `\/`) {
			return nil, fmt.Errorf("the file system gave the impossible name %q", name)
		}
		if name != "." && name != ".." {
			attributes := binary.LittleEndian.Uint32(records[attributesOffset:])
			tag := binary.LittleEndian.Uint32(records[tagOffset:])
			entries = append(entries, Entry{Name: name, Type: typeOf(attributes, tag)})
		}
		next := binary.LittleEndian.Uint32(records[nextOffset:])
		if next == 0 {
			return entries, nil
		}
		if int(next) > len(records) {
			return nil, fmt.Errorf("the file system gave a directory record of %d bytes", next)
		}
		records = records[next:]
	}
}

// decode reads UTF-16; half a surrogate pair becomes WTF-8. What holds a null is nothing.
func decode(encoded []byte) string {
	units := make([]uint16, len(encoded)/2)
	for index := range units {
		if units[index] = binary.LittleEndian.Uint16(encoded[2*index:]); units[index] == 0 {
			return ""
		}
	}
	return windows.UTF16ToString(units)
}
