// SPDX-License-Identifier: GPL-3.0-or-later

//go:build linux || darwin || freebsd || netbsd

package fsys

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

var isRoot = os.Geteuid() == 0

func readAttributes(list func([]byte) (int, error), get func(string, []byte) (int, error)) (Attributes, error) {
	names, err := readGrowing(list)
	if IsUnsupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var attributes Attributes
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if !Transferable(name) {
			continue
		}
		value, err := readGrowing(func(buffer []byte) (int, error) { return get(name, buffer) })
		if err == noAttribute {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		if attributes == nil {
			attributes = Attributes{}
		}
		attributes[name] = string(value)
	}
	return attributes, nil
}

// Transferable tells whether an attribute is a user's, and not what the system itself keeps of the file.
func Transferable(name string) bool {
	switch {
	case name == "" || name == "com.apple.provenance" || name == "com.apple.macl":
		return false
	case strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "trusted."):
		return isRoot
	}
	return true
}

func readGrowing(read func([]byte) (int, error)) ([]byte, error) {
	for size := 1 << 10; ; {
		buffer := make([]byte, size)
		length, err := read(buffer)
		if err == nil {
			return buffer[:length], nil
		}
		if err != unix.ERANGE || size > 1<<20 {
			return nil, err
		}
		size *= 4
	}
}
