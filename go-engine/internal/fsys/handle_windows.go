// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Handle is a held entry whose metadata can be read and set, whatever becomes of its name.
type Handle struct {
	handle windows.Handle
	reads  bool // it is open for reading only, and is opened again to set something
}

// Handle gives the handle of the directory, which ends with it.
func (d Directory) Handle() Handle { return Handle{handle: d.handle, reads: true} }

// Handle gives the handle of the file, which ends with it.
func (f File) Handle() Handle { return Handle{handle: f.handle} }

// Stat reads what the entry is.
func (h Handle) Stat(stat *Stat) error { return stat.take(h.handle) }

// Close closes a handle from OpenEntry.
func (h Handle) Close() { closeHandle(h.handle) }

// Chown would set user and group.
func (h Handle) Chown(_, _ int) error { return errors.ErrUnsupported }

// Chmod sets the read-only attribute as the owner's permission to write says.
func (h Handle) Chmod(mode uint32) error {
	return h.set(func(handle windows.Handle) error {
		var stat Stat
		if err := stat.take(handle); err != nil {
			return err
		}
		wanted := stat.attributes() &^ windows.FILE_ATTRIBUTE_READONLY
		if mode&0o200 == 0 {
			wanted |= windows.FILE_ATTRIBUTE_READONLY
		}
		if wanted == stat.attributes() {
			return nil
		}
		return setAttributes(handle, wanted)
	})
}

// setAttributes sets the attributes of a file and leaves its times alone.
func setAttributes(handle windows.Handle, attributes uint32) error {
	information := struct {
		times      [4]int64 // 0 for as it is
		attributes uint32
		_          uint32
	}{attributes: attributes | windows.FILE_ATTRIBUTE_NORMAL}
	return systemError(setInformation(handle, &information, windows.FileBasicInformation))
}

// SetModified sets the time of modification and leaves that of access alone.
func (h Handle) SetModified(modified Time) error {
	filetime := modified.filetime()
	return h.set(func(handle windows.Handle) error {
		return windows.SetFileTime(handle, nil, nil, &filetime)
	})
}

func (h Handle) set(change func(windows.Handle) error) error {
	if !h.reads {
		return change(h.handle)
	}
	const access = windows.FILE_READ_ATTRIBUTES | windows.FILE_WRITE_ATTRIBUTES
	handle, err := openAt(h.handle, "", access, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	return change(handle)
}

// SetLinkModified sets the time of modification of a symbolic link.
func (d Directory) SetLinkModified(name string, modified Time) error {
	entry, err := d.OpenEntry(name)
	if err != nil {
		return err
	}
	defer entry.Close()
	return entry.SetModified(modified)
}
