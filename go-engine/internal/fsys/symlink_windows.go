// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/windows"
)

// The layout of the data of a symbolic link, a REPARSE_DATA_BUFFER.
const (
	reparseHeader   = 8
	reparseNames    = 20 // where the names begin, to which offsets are relative
	reparseMost     = 16 << 10
	reparseRelative = 1
	nativePrefix    = `\??\`
)

var errBrokenLink = errors.New("the symbolic link is broken")

// ReadLink reads the target of a symbolic link.
func (l *Lister) ReadLink(parent Directory, name string) (string, error) {
	handle, err := openAt(parent.handle, name, windows.FILE_READ_ATTRIBUTES, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return "", err
	}
	defer closeHandle(handle)
	data := make([]byte, reparseMost)
	var length uint32
	err = windows.DeviceIoControl(handle, windows.FSCTL_GET_REPARSE_POINT, nil, 0, &data[0], reparseMost, &length, nil)
	if err != nil {
		return "", err
	}
	return parseLink(data[:length])
}

// parseLink gives the target as a user reads it, from the data of a symbolic link.
func parseLink(data []byte) (string, error) {
	if len(data) < reparseNames || binary.LittleEndian.Uint32(data) != windows.IO_REPARSE_TAG_SYMLINK {
		return "", errBrokenLink
	}
	name := func(field int) (string, error) {
		start := int(binary.LittleEndian.Uint16(data[field:]))
		length := int(binary.LittleEndian.Uint16(data[field+2:]))
		names := data[reparseNames:]
		if start+length > len(names) {
			return "", errBrokenLink
		}
		return decode(names[start : start+length]), nil
	}
	printed, err := name(reparseHeader + 4)
	if err != nil || printed != "" {
		return printed, err
	}
	substitute, err := name(reparseHeader)
	return strings.TrimPrefix(substitute, nativePrefix), err
}

// formatLink gives the data of a symbolic link to the target.
func formatLink(target string) ([]byte, error) {
	substitute, flags := target, uint32(reparseRelative)
	if filepath.VolumeName(target) != "" {
		flags = 0
		switch {
		case strings.HasPrefix(target, `\\?\`):
			substitute = nativePrefix + target[4:]
		case strings.HasPrefix(target, `\\`):
			substitute = nativePrefix + `UNC\` + target[2:]
		default:
			substitute = nativePrefix + target
		}
	}
	names, lengths := []byte{}, [2]int{}
	for index, name := range []string{substitute, target} {
		encoded, err := windows.UTF16FromString(name)
		if err != nil {
			return nil, err
		}
		for _, unit := range encoded[:len(encoded)-1] {
			names = binary.LittleEndian.AppendUint16(names, unit)
		}
		lengths[index] = 2 * (len(encoded) - 1)
	}
	if len(names)+reparseNames > reparseMost {
		return nil, windows.ERROR_FILENAME_EXCED_RANGE
	}
	data := binary.LittleEndian.AppendUint32(nil, windows.IO_REPARSE_TAG_SYMLINK)
	for _, field := range []int{reparseNames - reparseHeader + len(names), 0, 0, lengths[0], lengths[0], lengths[1]} {
		data = binary.LittleEndian.AppendUint16(data, uint16(field))
	}
	return append(binary.LittleEndian.AppendUint32(data, flags), names...), nil
}

// MakeSymlink makes a symbolic link like the one that source describes: one to a directory is of a kind of its own.
func (d Directory) MakeSymlink(name, target string, source *Stat) error {
	data, err := formatLink(target)
	if err != nil {
		return err
	}
	allowSymlinks()
	options := uint32(windows.FILE_OPEN_REPARSE_POINT | windows.FILE_NON_DIRECTORY_FILE)
	if source.attributes()&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		options = windows.FILE_OPEN_REPARSE_POINT | windows.FILE_DIRECTORY_FILE
	}
	handle, err := openAt(d.handle, name, windows.FILE_WRITE_ATTRIBUTES|windows.DELETE, windows.FILE_CREATE, options)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	var length uint32
	err = windows.DeviceIoControl(handle, windows.FSCTL_SET_REPARSE_POINT, &data[0], uint32(len(data)), nil, 0, &length, nil)
	if err != nil {
		_ = d.dispose(handle, name)
	}
	return err
}

// allowSymlinks lets this process make symbolic links, if its user may; without it, the system refuses them or, in
// its developer mode, does not.
var allowSymlinks = sync.OnceFunc(func() {
	var token windows.Token
	access := uint32(windows.TOKEN_QUERY | windows.TOKEN_ADJUST_PRIVILEGES)
	if windows.OpenProcessToken(windows.CurrentProcess(), access, &token) != nil {
		return
	}
	defer token.Close()
	privileges := windows.Tokenprivileges{PrivilegeCount: 1}
	privileges.Privileges[0].Attributes = windows.SE_PRIVILEGE_ENABLED
	name, err := windows.UTF16PtrFromString("SeCreateSymbolicLinkPrivilege")
	if err != nil || windows.LookupPrivilegeValue(nil, name, &privileges.Privileges[0].Luid) != nil {
		return
	}
	_ = windows.AdjustTokenPrivileges(token, false, &privileges, 0, nil, nil)
})
