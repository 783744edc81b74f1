// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultACL is the attribute of a directory that new entries in it inherit.
const DefaultACL = "system.posix_acl_default"

// Attributes are extended attributes by name. Those that this user could not set elsewhere are left out.
type Attributes map[string]string

// Attributes reads the extended attributes; supported is false where the file system has none.
func (h Handle) Attributes() (attributes Attributes, supported bool, err error) {
	if h.path != "" {
		return readAttributes(
			func(buffer []byte) (int, error) { return unix.Listxattr(h.path, buffer) },
			func(name string, buffer []byte) (int, error) { return unix.Getxattr(h.path, name, buffer) })
	}
	// The common case, without a closure: nothing is there.
	if size, err := unix.Flistxattr(h.fd, nil); size == 0 && err == nil {
		return nil, true, nil
	}
	return readAttributes(
		func(buffer []byte) (int, error) { return unix.Flistxattr(h.fd, buffer) },
		func(name string, buffer []byte) (int, error) { return unix.Fgetxattr(h.fd, name, buffer) })
}

// EntryAttributes reads the extended attributes of an entry that is no symbolic link, without opening it: the path
// leads by the descriptor, and its last component is not followed.
func EntryAttributes(parent int, name string) (attributes Attributes, supported bool, err error) {
	path := "/proc/self/fd/" + strconv.Itoa(parent) + "/" + name
	if size, err := unix.Llistxattr(path, nil); size == 0 && err == nil {
		return nil, true, nil
	}
	return readAttributes(
		func(buffer []byte) (int, error) { return unix.Llistxattr(path, buffer) },
		func(name string, buffer []byte) (int, error) { return unix.Lgetxattr(path, name, buffer) })
}

// Supports tells whether the file system could keep an attribute of that name.
func (h Handle) Supports(name string) bool {
	var err error
	if h.path != "" {
		_, err = unix.Getxattr(h.path, name, nil)
	} else {
		_, err = unix.Fgetxattr(h.fd, name, nil)
	}
	return !IsUnsupported(err)
}

// SetAttribute sets one attribute.
func (h Handle) SetAttribute(name, value string) error {
	if h.path != "" {
		return unix.Setxattr(h.path, name, []byte(value), 0)
	}
	return unix.Fsetxattr(h.fd, name, []byte(value), 0)
}

// RemoveAttribute removes one attribute.
func (h Handle) RemoveAttribute(name string) error {
	if h.path != "" {
		return unix.Removexattr(h.path, name)
	}
	return unix.Fremovexattr(h.fd, name)
}

// IsUnsupported tells whether the error says that the file system cannot do what was asked for.
func IsUnsupported(err error) bool {
	return err == unix.ENOTSUP || err == unix.EOPNOTSUPP || err == unix.ENOSYS
}

func readAttributes(list func([]byte) (int, error), get func(string, []byte) (int, error)) (Attributes, bool, error) {
	names, err := readGrowing(list)
	if IsUnsupported(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	var attributes Attributes
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if !transferable(name) {
			continue
		}
		value, err := readGrowing(func(buffer []byte) (int, error) { return get(name, buffer) })
		if err == unix.ENODATA {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, true, err
		}
		if attributes == nil {
			attributes = Attributes{}
		}
		attributes[name] = string(value)
	}
	return attributes, true, nil
}

func transferable(name string) bool {
	switch {
	case name == "" || name == "security.selinux":
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
