// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/windows"
)

// Directory is an open directory. The zero value is none.
type Directory struct{ handle windows.Handle }

// File is an open file. The zero value is none.
type File struct{ handle windows.Handle }

const listAccess = windows.FILE_LIST_DIRECTORY | windows.FILE_READ_ATTRIBUTES

// IsOpen tells whether there is a directory.
func (d Directory) IsOpen() bool { return d.handle != 0 }

// IsOpen tells whether there is a file.
func (f File) IsOpen() bool { return f.handle != 0 }

// OpenRoot opens a directory by its path; symbolic links in it are followed.
func OpenRoot(path string) (Directory, error) {
	handle, err := openPath(path, listAccess)
	return Directory{handle}, err
}

func openPath(path string, access uint32) (windows.Handle, error) {
	encoded, err := windows.UTF16PtrFromString(systemPath(path))
	if err != nil {
		return 0, err
	}
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	handle, err := windows.CreateFile(encoded, access|windows.SYNCHRONIZE, share, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return 0, err
	}
	return handle, nil
}

// OpenDirectory opens the directory of that name, "." for another handle of this one.
func (d Directory) OpenDirectory(name string) (Directory, error) {
	if name == "." {
		name = ""
	}
	handle, err := openAt(d.handle, name, listAccess, windows.FILE_OPEN, windows.FILE_DIRECTORY_FILE)
	if err == syscall.ELOOP {
		err = syscall.ENOTDIR
	}
	return Directory{handle}, err
}

// Duplicate gives another handle of the directory.
func (d Directory) Duplicate() (Directory, error) { return d.OpenDirectory(".") }

// OpenFile opens the file of that name for reading. The caller checks by Stat that it is what it expects.
func (d Directory) OpenFile(name string) (File, error) {
	handle, err := openAt(d.handle, name, windows.FILE_GENERIC_READ, windows.FILE_OPEN, windows.FILE_NON_DIRECTORY_FILE)
	return File{handle}, err
}

// OpenForWriting opens the file of that name for reading and writing. The caller checks by Stat that it is what it
// expects.
func (d Directory) OpenForWriting(name string) (File, error) {
	const access = windows.FILE_GENERIC_READ | windows.FILE_GENERIC_WRITE
	handle, err := openAt(d.handle, name, access, windows.FILE_OPEN, windows.FILE_NON_DIRECTORY_FILE)
	return File{handle}, err
}

// OpenEntry opens an entry of any type but for calls that need no more than a Handle.
func (d Directory) OpenEntry(name string) (Handle, error) {
	const access = windows.FILE_READ_ATTRIBUTES | windows.FILE_WRITE_ATTRIBUTES
	handle, err := openAt(d.handle, name, access, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	return Handle{handle: handle}, err
}

// CreateFile makes a file for writing, and for reading too if readable. It must not exist.
func (d Directory) CreateFile(name string, _ uint32, readable bool) (File, error) {
	access := uint32(windows.FILE_GENERIC_WRITE | windows.FILE_READ_ATTRIBUTES)
	if readable {
		access |= windows.FILE_GENERIC_READ
	}
	handle, err := openAt(d.handle, name, access, windows.FILE_CREATE, windows.FILE_NON_DIRECTORY_FILE)
	return File{handle}, err
}

// Close closes a directory, if there is one.
func (d Directory) Close() { closeHandle(d.handle) }

// Close closes a file, if there is one. One that was written is finished instead.
func (f File) Close() { closeHandle(f.handle) }

// Finish closes a file that was written. Filesystems of a network may tell only then that they have no room for it.
func (f File) Finish() error { return windows.CloseHandle(f.handle) }

func closeHandle(handle windows.Handle) {
	if handle != 0 {
		_ = windows.CloseHandle(handle)
	}
}

// Truncate sets the size of the file.
func (f File) Truncate(size int64) error { return windows.Ftruncate(f.handle, size) }

// AllowHoles lets parts of the file that are never written take no room, where the file system can.
func (f File) AllowHoles() {
	var length uint32
	_ = windows.DeviceIoControl(f.handle, windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &length, nil)
}

// ReadAt reads at least one byte, unless the file has ended.
func (f File) ReadAt(buffer []byte, offset int64) (int, error) {
	var length uint32
	err := windows.ReadFile(f.handle, buffer, &length, at(offset))
	if err == windows.ERROR_HANDLE_EOF {
		return 0, nil
	}
	return int(length), err
}

// WriteAt writes the whole buffer.
func (f File) WriteAt(buffer []byte, offset int64) error {
	for len(buffer) > 0 {
		var length uint32
		if err := windows.WriteFile(f.handle, buffer, &length, at(offset)); err != nil {
			return err
		}
		buffer = buffer[length:]
		offset += int64(length)
	}
	return nil
}

func at(offset int64) *windows.Overlapped {
	return &windows.Overlapped{Offset: uint32(offset), OffsetHigh: uint32(offset >> 32)}
}

// RaiseDescriptorLimit would allow more open handles; there is no limit to raise.
func RaiseDescriptorLimit() {}

// Lock is the exclusive lock of a directory. It ends with the process at the latest.
type Lock struct{ mutex windows.Handle }

// Release gives the lock back.
func (l Lock) Release() { closeHandle(l.mutex) }

// Lock takes the exclusive lock without waiting: ErrLocked tells that another has it. It is a mutex of the system
// that is named for the directory; that it exists is the lock.
func (d Directory) Lock() (Lock, error) {
	var stat Stat
	if err := d.Stat(&stat); err != nil {
		return Lock{}, err
	}
	name := fmt.Sprintf(`Global\migration-assistant-%x-%x`, stat.identity.Device, stat.identity.Number)
	encoded, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return Lock{}, err
	}
	mutex, err := windows.CreateMutex(nil, false, encoded)
	// Another user's mutex cannot even be opened.
	if err == windows.ERROR_ALREADY_EXISTS || err == windows.ERROR_ACCESS_DENIED {
		closeHandle(mutex)
		return Lock{}, ErrLocked
	}
	return Lock{mutex}, err
}
