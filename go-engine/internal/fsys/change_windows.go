// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// MakeDirectory makes a directory.
func (d Directory) MakeDirectory(name string, _ uint32) error {
	handle, err := openAt(d.handle, name, windows.FILE_READ_ATTRIBUTES, windows.FILE_CREATE, windows.FILE_DIRECTORY_FILE)
	closeHandle(handle)
	return err
}

// MakeSpecial would make a fifo, socket or device.
func (d Directory) MakeSpecial(_ string, _ uint32, _ *Stat) error { return errors.ErrUnsupported }

// Link gives an entry a second name; a symbolic link is not followed.
func (d Directory) Link(name string, newParent Directory, newName string) error {
	handle, err := openAt(d.handle, name, windows.FILE_WRITE_ATTRIBUTES, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	return systemError(setName(handle, newParent, newName, 0, fileLinkInformation))
}

// Replace gives an entry another name in the same directory, in the place of what had it, be it read-only.
func (d Directory) Replace(oldName, newName string) error {
	handle, err := openAt(d.handle, oldName, windows.DELETE, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	const flags = windows.FILE_RENAME_REPLACE_IF_EXISTS | windows.FILE_RENAME_POSIX_SEMANTICS |
		windows.FILE_RENAME_IGNORE_READONLY_ATTRIBUTE
	err = setName(handle, d, newName, flags, fileRenameInformationEx)
	if isUnknown(err) {
		replace := func() error {
			return setName(handle, d, newName, windows.FILE_RENAME_REPLACE_IF_EXISTS, windows.FileRenameInformation)
		}
		if err = replace(); err == windows.STATUS_ACCESS_DENIED {
			err = d.writable(newName, replace)
		}
	}
	return systemError(err)
}

// Rename gives an entry another name in the same directory, which nothing may have.
func (d Directory) Rename(oldName, newName string) error {
	handle, err := openAt(d.handle, oldName, windows.DELETE, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	return systemError(setName(handle, d, newName, 0, windows.FileRenameInformation))
}

// setName gives what is behind the handle a name, as the class of the information says how.
func setName(handle windows.Handle, parent Directory, name string, flags, class uint32) error {
	if err := checkName(name); err != nil {
		return err
	}
	encoded, err := windows.UTF16FromString(name)
	if err != nil {
		return err
	}
	information := struct {
		flags  uint32
		root   windows.Handle
		length uint32
		name   [256]uint16
	}{flags: flags, root: parent.handle, length: uint32(2 * (len(encoded) - 1))}
	if copy(information.name[:], encoded) < len(encoded) {
		return windows.ERROR_FILENAME_EXCED_RANGE
	}
	return setInformation(handle, &information, class)
}

// Remove removes an entry that is no directory, be it read-only.
func (d Directory) Remove(name string) error { return d.remove(name, false) }

// RemoveDirectory removes an empty directory.
func (d Directory) RemoveDirectory(name string) error { return d.remove(name, true) }

func (d Directory) remove(name string, directory bool) error {
	const access = windows.DELETE | windows.FILE_READ_ATTRIBUTES
	handle, err := openAt(d.handle, name, access, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	var stat Stat
	if err := stat.take(handle); err != nil {
		return err
	}
	// A link to a directory is one for the system, but not for us.
	switch {
	case stat.IsDirectory() && !directory:
		return syscall.EISDIR
	case directory && !stat.IsDirectory():
		return syscall.ENOTDIR
	}
	return d.dispose(handle, name)
}

// dispose removes what is behind the handle, at once where the system can, else when nobody has it open any longer.
func (d Directory) dispose(handle windows.Handle, name string) error {
	flags := uint32(windows.FILE_DISPOSITION_DELETE | windows.FILE_DISPOSITION_POSIX_SEMANTICS |
		windows.FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE)
	err := setInformation(handle, &flags, windows.FileDispositionInformationEx)
	if isUnknown(err) {
		remove := func() error {
			yes := byte(1)
			return setInformation(handle, &yes, windows.FileDispositionInformation)
		}
		if err = remove(); err == windows.STATUS_CANNOT_DELETE {
			err = d.writable(name, remove)
		}
	}
	return systemError(err)
}

// writable takes the read-only attribute away for an action, and gives it back if that fails all the same.
func (d Directory) writable(name string, action func() error) error {
	entry, err := d.OpenEntry(name)
	if err != nil {
		return err
	}
	defer entry.Close()
	var stat Stat
	if err := entry.Stat(&stat); err != nil {
		return err
	}
	if err := entry.Chmod(stat.Permissions() | 0o200); err != nil {
		return err
	}
	if err := action(); err != nil {
		_ = entry.Chmod(stat.Permissions())
		return err
	}
	return nil
}
