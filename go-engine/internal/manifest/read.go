// SPDX-License-Identifier: GPL-3.0-or-later

package manifest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// longestLine bounds a line: its path can be longer than what a system call takes, but not by that much.
const longestLine = 1 << 20

// LineError tells what is wrong with a line, the first of which is 1.
type LineError struct {
	Line    int
	Message string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// DuplicateError tells that a path is listed twice with different checksums.
type DuplicateError struct{ Path string }

func (e *DuplicateError) Error() string {
	return "lists " + e.Path + " twice, with different checksums"
}

// Read reads a manifest and gives its records, sorted. Its checksums must have one of the sizes, all of them the same.
// Lines that begin with # are comments.
func Read(from io.Reader, sizes []int) ([]Record, error) {
	lines := bufio.NewReaderSize(from, longestLine+1)
	var records []Record
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			return nil, &LineError{number, fmt.Sprintf("it is longer than %d bytes", longestLine)}
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if len(line) == 0 {
			break
		}
		if line[0] == '#' {
			continue
		}
		record, problem := parse(trimEnd(line), sizes)
		if problem != nil {
			return nil, &LineError{number, problem.Error()}
		}
		if len(records) == 0 {
			sizes = []int{len(record.Checksum())}
		}
		records = append(records, record)
	}
	return unique(records)
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

func parse(line []byte, sizes []int) (Record, error) {
	if len(line) == 0 {
		return "", errors.New("it is empty")
	}
	rest, escaped := bytes.CutPrefix(line, []byte(`\`))
	digits := bytes.IndexByte(rest, ' ')
	checksum, err := hex.DecodeString(string(rest[:max(digits, 0)]))
	if err != nil || !slices.Contains(sizes, len(checksum)) || len(rest) < digits+2 || !strings.ContainsRune(" *", rune(rest[digits+1])) {
		return "", fmt.Errorf("it does not begin with a checksum of %s hexadecimal digits and two spaces", digitsOf(sizes))
	}
	path := string(rest[digits+2:])
	if escaped {
		if path, err = unescape(path); err != nil {
			return "", err
		}
	}
	if path, err = relative(path); err != nil {
		return "", err
	}
	return NewRecord(path, checksum), nil
}

func digitsOf(sizes []int) string {
	var digits []string
	for _, size := range sizes {
		digits = append(digits, fmt.Sprint(2*size))
	}
	return strings.Join(digits, " or ")
}

func unescape(path string) (string, error) {
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(path, `\`)
		plain.WriteString(before)
		if !found {
			return plain.String(), nil
		}
		switch {
		case strings.HasPrefix(after, `\`):
			plain.WriteByte('\\')
		case strings.HasPrefix(after, "n"):
			plain.WriteByte('\n')
		case strings.HasPrefix(after, "r"):
			plain.WriteByte('\r')
		default:
			return "", errors.New(`its path has a backslash that begins none of \\, \n and \r`)
		}
		path = after[1:]
	}
}

// relative gives the path in its shortest form, if it stays within the tree.
func relative(path string) (string, error) {
	if strings.HasPrefix(path, "/") {
		return "", errors.New("its path is absolute")
	}
	if strings.Contains(path, separator) {
		return "", errors.New("its path has a null byte")
	}
	var kept []string
	for _, part := range strings.Split(path, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", errors.New("its path has .. in it, which may lead out of the tree")
		default:
			kept = append(kept, part)
		}
	}
	if len(kept) == 0 || strings.HasSuffix(path, "/") {
		return "", errors.New("its path names no file")
	}
	return strings.Join(kept, "/"), nil
}

// unique sorts the records and drops those that are there twice.
func unique(records []Record) ([]Record, error) {
	slices.Sort(records)
	records = slices.Compact(records)
	for index := 1; index < len(records); index++ {
		if path := records[index].Path(); path == records[index-1].Path() {
			return nil, &DuplicateError{path}
		}
	}
	return records, nil
}
