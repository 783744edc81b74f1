// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"errors"
	"strings"
	"syscall"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The classes of NtSetInformationFile that golang.org/x/sys/windows lacks.
const (
	fileLinkInformation     = 11
	fileRenameInformationEx = 65
)

var errBadName = errors.New("the name cannot be that of an entry on this platform")

// openAt opens or makes the entry of that name, or the directory itself for "". The native call takes the name as it
// is, relative to the directory: nothing in it is a device, a drive or a parent. Without FILE_OPEN_REPARSE_POINT a
// symbolic link or a junction is an error.
func openAt(parent windows.Handle, name string, access, disposition, options uint32) (windows.Handle, error) {
	if err := checkName(name); err != nil {
		return 0, err
	}
	encoded, err := windows.NewNTUnicodeString(name)
	if err != nil {
		return 0, errBadName
	}
	attributes := windows.OBJECT_ATTRIBUTES{
		RootDirectory: parent,
		ObjectName:    encoded,
		Attributes:    windows.OBJ_CASE_INSENSITIVE, // unless the directory says otherwise
	}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	if options&windows.FILE_OPEN_REPARSE_POINT == 0 {
		attributes.Attributes |= windows.OBJ_DONT_REPARSE
	}
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	options |= windows.FILE_SYNCHRONOUS_IO_NONALERT | windows.FILE_OPEN_FOR_BACKUP_INTENT
	var handle windows.Handle
	var status windows.IO_STATUS_BLOCK
	err = windows.NtCreateFile(&handle, access|windows.SYNCHRONIZE, &attributes, &status, nil,
		windows.FILE_ATTRIBUTE_NORMAL, share, disposition, options, 0, 0)
	if err != nil {
		return 0, systemError(err)
	}
	return handle, nil
}

// checkName refuses what would not stand for an entry of the directory: a path, a stream of a file, or text that no
// name can hold.
func checkName(name string) error {
	if name == "." || name == ".." || strings.ContainsAny(name, `\/:`) {
		return errBadName
	}
	if utf8.ValidString(name) {
		return nil
	}
	// Half a surrogate pair is kept, in the encoding of WTF-8.
	encoded, err := windows.UTF16FromString(name)
	if err != nil || windows.UTF16ToString(encoded) != name {
		return errBadName
	}
	return nil
}

// setInformation changes what information, a structure of that class, says.
func setInformation[T any](handle windows.Handle, information *T, class uint32) error {
	var status windows.IO_STATUS_BLOCK
	return windows.NtSetInformationFile(handle, &status, (*byte)(unsafe.Pointer(information)),
		uint32(unsafe.Sizeof(*information)), class)
}

// isUnknown tells whether the system or the file system does not know a call, so that an older one must do.
func isUnknown(err error) bool {
	switch err {
	case windows.STATUS_NOT_IMPLEMENTED, windows.STATUS_NOT_SUPPORTED,
		windows.STATUS_INVALID_INFO_CLASS, windows.STATUS_INVALID_PARAMETER:
		return true
	}
	return false
}

// systemError gives an error number for a status of a native call.
func systemError(err error) error {
	status, known := err.(windows.NTStatus)
	if !known {
		return err
	}
	switch status {
	case windows.STATUS_REPARSE_POINT_ENCOUNTERED:
		return syscall.ELOOP
	case windows.STATUS_NOT_A_DIRECTORY:
		return syscall.ENOTDIR
	case windows.STATUS_FILE_IS_A_DIRECTORY:
		return syscall.EISDIR
	}
	return status.Errno()
}

// systemPath gives an absolute, clean path the form that may be longer than 260 characters.
func systemPath(path string) string {
	const short = 248 // the limit for directories
	switch {
	case len(path) < short || strings.HasPrefix(path, `\\?\`) || strings.HasPrefix(path, `\\.\`):
		return path
	case strings.HasPrefix(path, `\\`):
		return `\\?\UNC\` + path[2:]
	}
	return `\\?\` + path
}
