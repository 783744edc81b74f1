// SPDX-License-Identifier: GPL-3.0-or-later

package tarball

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"migration.assistant/engine/internal/fsys"
)

// BlockSize is what all parts of an archive are padded to.
const BlockSize = 512

// AttributePrefix begins the names of the records that hold extended attributes.
const AttributePrefix = "SCHILY.xattr."

// Kinds of entries by their mark in the header.
const (
	TypeFile            = '0'
	TypeHardLink        = '1'
	TypeSymlink         = '2'
	TypeCharacterDevice = '3'
	TypeBlockDevice     = '4'
	TypeDirectory       = '5'
	TypeFifo            = '6'
	typeRecords         = 'x'
)

// The greatest numbers of the header's fields; greater ones go to a record.
const (
	most7Digits  = 1<<21 - 1
	most11Digits = 1<<33 - 1
)

// Entry is what an archive says of one file. Path is relative to the tree, empty for its root. Extents are those of a
// file with holes, nil for one without.
type Entry struct {
	Path       string
	Type       byte
	Target     string // of a symbolic link, or the path of a hard link's file
	Mode       uint32
	User       uint32
	Group      uint32
	Size       int64
	Modified   fsys.Time
	Major      uint32
	Minor      uint32
	Attributes fsys.Attributes
	Extents    []fsys.Extent
}

// End ends an archive.
var End = make([]byte, 2*BlockSize)

// Padding gives the zeros that follow that many bytes.
func Padding(size int64) []byte { return End[:-size&(BlockSize-1)] }

// DataSize gives how many bytes of the file's content are in the archive.
func (e *Entry) DataSize() int64 {
	if e.Extents == nil {
		return e.Size
	}
	total := int64(0)
	for _, extent := range e.Extents {
		total += extent.Length()
	}
	return total
}

// Header gives all that precedes the content.
func (e *Entry) Header() []byte {
	name, size := e.name(), e.Size
	var sparse []byte
	records := map[string]string{}
	if e.Extents != nil {
		sparse = e.sparseMap()
		size = int64(len(sparse)) + e.DataSize()
		records["GNU.sparse.major"], records["GNU.sparse.minor"] = "1", "0"
		records["GNU.sparse.name"], records["GNU.sparse.realsize"] = name, strconv.FormatInt(e.Size, 10)
		above, base := "", name
		if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
			above, base = name[:slash+1], name[slash+1:]
		}
		name = above + "GNUSparseFile.0/" + base
	}
	for name, value := range e.Attributes {
		record, text := recordOf(name, value)
		records[record] = text
	}
	if modified := e.Modified; modified.Nanoseconds != 0 || modified.Seconds < 0 || modified.Seconds > most11Digits {
		records["mtime"] = timeText(modified)
	}
	header := e.block(name, size, records)
	if len(records) == 0 {
		return append(header, sparse...)
	}
	content := recordsText(records)
	above := &Entry{Type: typeRecords, Mode: 0o644}
	all := above.block("././@PaxHeader", int64(len(content)), map[string]string{})
	all = append(append(all, content...), Padding(int64(len(content)))...)
	return append(append(all, header...), sparse...)
}

func (e *Entry) name() string {
	switch {
	case e.Path == "":
		return "./"
	case e.Type == TypeDirectory:
		return e.Path + "/"
	}
	return e.Path
}

// sparseMap lists the extents, as GNU tar's format 1.0 has it.
func (e *Entry) sparseMap() []byte {
	text := strconv.AppendInt(nil, int64(len(e.Extents)), 10)
	for _, extent := range e.Extents {
		text = strconv.AppendInt(append(text, '\n'), extent.Start, 10)
		text = strconv.AppendInt(append(text, '\n'), extent.Length(), 10)
	}
	text = append(text, '\n')
	return append(text, Padding(int64(len(text)))...)
}

// block makes the header's block, and adds to the records what has no room in it.
func (e *Entry) block(name string, size int64, records map[string]string) []byte {
	number := func(value int64, most int64, record string) int64 {
		if value <= most {
			return value
		}
		records[record] = strconv.FormatInt(value, 10)
		return 0
	}
	text := func(value, record string) string {
		if isPlain(value) {
			return value
		}
		records[record] = value
		return plain(value)
	}
	block := make([]byte, BlockSize)
	copy(block, text(name, "path"))
	octal(block[100:108], int64(e.Mode))
	octal(block[108:116], number(int64(e.User), most7Digits, "uid"))
	octal(block[116:124], number(int64(e.Group), most7Digits, "gid"))
	octal(block[124:136], number(size, most11Digits, "size"))
	octal(block[136:148], min(max(e.Modified.Seconds, 0), most11Digits))
	block[156] = e.Type
	copy(block[157:], text(e.Target, "linkpath"))
	copy(block[257:], "ustar\x0000")
	octal(block[329:337], int64(e.Major))
	octal(block[337:345], int64(e.Minor))
	copy(block[148:], "        ")
	sum := 0
	for _, value := range block {
		sum += int(value)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	return block
}

func octal(field []byte, value int64) {
	copy(field, fmt.Sprintf("%0*o", len(field)-1, value))
}

func isPlain(text string) bool { return len(text) <= 100 && plain(text) == text }

// plain is what stands in the header for a text that only a record can hold.
func plain(text string) string {
	bytes := []byte(text[:min(len(text), 100)])
	for index, value := range bytes {
		if value >= 0x80 {
			bytes[index] = '?'
		}
	}
	return string(bytes)
}

// timeText gives seconds with the nanoseconds as a fraction.
func timeText(t fsys.Time) string {
	seconds, nanoseconds, sign := t.Seconds, t.Nanoseconds, ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
		if nanoseconds > 0 {
			seconds, nanoseconds = seconds-1, 1e9-nanoseconds
		}
	}
	if nanoseconds == 0 {
		return fmt.Sprintf("%s%d", sign, seconds)
	}
	return strings.TrimRight(fmt.Sprintf("%s%d.%09d", sign, seconds, nanoseconds), "0")
}

func recordsText(records map[string]string) []byte {
	var content []byte
	for _, name := range slices.Sorted(maps.Keys(records)) {
		rest := len(name) + len(records[name]) + len(" =\n")
		length := rest
		for previous := 0; length != previous; {
			previous, length = length, rest+len(strconv.Itoa(length))
		}
		content = append(content, fmt.Sprintf("%d %s=%s\n", length, name, records[name])...)
	}
	return content
}

// The name of an attribute is written as GNU tar does, since a record's name ends at the first equals sign.
var (
	escaper   = strings.NewReplacer("%", "%25", "=", "%3D")
	unescaper = strings.NewReplacer("%25", "%", "%3D", "=")
)
