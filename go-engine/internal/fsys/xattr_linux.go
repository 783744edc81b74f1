// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// KeepsAttributes says whether extended attributes are kept.
const KeepsAttributes = true

// Attributes reads the extended attributes: none where the file system cannot keep any.
func (h Handle) Attributes() (Attributes, error) {
	if h.path != "" {
		return readAttributes(
			func(buffer []byte) (int, error) { return unix.Listxattr(h.path, buffer) },
			func(name string, buffer []byte) (int, error) { return unix.Getxattr(h.path, name, buffer) })
	}
	// The common case, without a closure: nothing is there.
	if size, err := unix.Flistxattr(h.fd, nil); size == 0 && err == nil {
		return nil, nil
	}
	return readAttributes(
		func(buffer []byte) (int, error) { return unix.Flistxattr(h.fd, buffer) },
		func(name string, buffer []byte) (int, error) { return unix.Fgetxattr(h.fd, name, buffer) })
}

// EntryAttributes reads the extended attributes of an entry that is no symbolic link, without opening it: the path
// leads by the descriptor, and its last component is not followed unless links in the directory are.
func (d Directory) EntryAttributes(name string) (Attributes, error) {
	if !d.follows && listsByName() {
		if size, err := listAttributesAt(d.descriptor(), name, nil); size == 0 && err == nil {
			return nil, nil
		}
	}
	path := "/proc/self/fd/" + strconv.Itoa(d.descriptor()) + "/" + name
	if d.follows {
		return readAttributes(
			func(buffer []byte) (int, error) { return unix.Listxattr(path, buffer) },
			func(name string, buffer []byte) (int, error) { return unix.Getxattr(path, name, buffer) })
	}
	if size, err := unix.Llistxattr(path, nil); size == 0 && err == nil {
		return nil, nil
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

// RemoveAttribute removes one attribute, if it is there.
func (h Handle) RemoveAttribute(name string) error {
	var err error
	if h.path != "" {
		err = unix.Removexattr(h.path, name)
	} else {
		err = unix.Fremovexattr(h.fd, name)
	}
	if err == noAttribute {
		return nil
	}
	return err
}

// AttributesAreReachable tells whether extended attributes can be read and set at all.
func AttributesAreReachable() bool { return unix.Access("/proc/self/fd", unix.X_OK) == nil }
