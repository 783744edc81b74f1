// SPDX-License-Identifier: GPL-3.0-or-later

//go:build darwin || freebsd || netbsd || (linux && portable)

package fsys

import "golang.org/x/sys/unix"

// KeepsAttributes says whether extended attributes are kept.
const KeepsAttributes = true

// Attributes reads the extended attributes: none where the file system cannot keep any, or of what is held by name.
func (h Handle) Attributes() (Attributes, error) {
	if h.file == nil {
		return nil, nil
	}
	fd := int(h.file.Fd())
	return readAttributes(
		func(buffer []byte) (int, error) { return unix.Flistxattr(fd, buffer) },
		func(name string, buffer []byte) (int, error) { return unix.Fgetxattr(fd, name, buffer) })
}

func (h Handle) descriptor() (int, error) {
	if h.file == nil {
		return -1, unix.EACCES
	}
	return int(h.file.Fd()), nil
}

// EntryAttributes reads the extended attributes of an entry that is no symbolic link.
func (d Directory) EntryAttributes(name string) (Attributes, error) {
	file, err := d.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Handle().Attributes()
}

// Supports tells whether the file system could keep an attribute of that name.
func (h Handle) Supports(name string) bool {
	fd, err := h.descriptor()
	if err == nil {
		_, err = unix.Fgetxattr(fd, name, nil)
	}
	return !IsUnsupported(err)
}

// SetAttribute sets one attribute.
func (h Handle) SetAttribute(name, value string) error {
	fd, err := h.descriptor()
	if err != nil {
		return err
	}
	return unix.Fsetxattr(fd, name, []byte(value), 0)
}

// RemoveAttribute removes one attribute, if it is there.
func (h Handle) RemoveAttribute(name string) error {
	fd, err := h.descriptor()
	if err != nil {
		return err
	}
	if err := unix.Fremovexattr(fd, name); err != noAttribute {
		return err
	}
	return nil
}

// AttributesAreReachable tells whether extended attributes can be read and set at all.
func AttributesAreReachable() bool { return true }
