// SPDX-License-Identifier: GPL-3.0-or-later

package manifest

import (
	"sort"
	"strings"
)

// Record is a path and the checksum of what it names, in one string, which takes little memory. Records sort by the
// bytes of their paths.
type Record string

// separator ends the path: it is in no path, and sorts before every byte that is.
const separator = "\x00"

// NewRecord makes a record of a path relative to the tree.
func NewRecord(path string, checksum []byte) Record {
	return Record(path + separator + string(checksum))
}

// Path gives the path, relative to the tree.
func (r Record) Path() string { return string(r[:strings.IndexByte(string(r), 0)]) }

// Checksum gives the bytes of the checksum.
func (r Record) Checksum() string { return string(r[strings.IndexByte(string(r), 0)+1:]) }

// Find gives the place of a path in sorted records.
func Find(records []Record, path string) (index int, found bool) {
	key := path + separator
	index = sort.Search(len(records), func(index int) bool { return string(records[index]) >= key })
	return index, index < len(records) && strings.HasPrefix(string(records[index]), key)
}
