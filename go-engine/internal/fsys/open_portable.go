// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

import (
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Directory is an open directory. The zero value is none.
type Directory struct {
	root *os.Root
	file *os.File // the same directory, for calls by descriptor
}

// File is an open file. The zero value is none.
type File struct {
	root *os.Root // its directory
	name string
	file *os.File
}

// IsOpen tells whether there is a directory.
func (d Directory) IsOpen() bool { return d.root != nil }

// IsOpen tells whether there is a file.
func (f File) IsOpen() bool { return f.file != nil }

// OpenRoot opens a directory by its path; symbolic links in it are followed.
func OpenRoot(path string) (Directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return Directory{}, err
	}
	return asDirectory(root)
}

func asDirectory(root *os.Root) (Directory, error) {
	file, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return Directory{}, err
	}
	return Directory{root, file}, nil
}

// OpenDirectory opens the directory of that name, "." for another handle of this one.
func (d Directory) OpenDirectory(name string) (Directory, error) {
	expected, err := d.root.Lstat(name)
	if err != nil {
		return Directory{}, err
	}
	if !expected.IsDir() {
		return Directory{}, syscall.ENOTDIR
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return Directory{}, err
	}
	opened, err := asDirectory(root)
	if err != nil {
		return Directory{}, err
	}
	// OpenRoot follows a symbolic link that does not lead out.
	if found, err := opened.file.Stat(); err != nil || !os.SameFile(expected, found) {
		opened.Close()
		return Directory{}, syscall.ENOTDIR
	}
	return opened, nil
}

// Duplicate gives another handle of the directory.
func (d Directory) Duplicate() (Directory, error) { return d.OpenDirectory(".") }

// OpenFile opens the file of that name for reading. The caller checks by Stat that it is what it expects.
func (d Directory) OpenFile(name string) (File, error) { return d.open(name, os.O_RDONLY) }

// OpenForWriting opens the file of that name for reading and writing. The caller checks by Stat that it is what it
// expects.
func (d Directory) OpenForWriting(name string) (File, error) { return d.open(name, os.O_RDWR) }

func (d Directory) open(name string, access int) (File, error) {
	expected, err := d.root.Lstat(name)
	if err != nil {
		return File{}, err
	}
	if expected.Mode()&fs.ModeSymlink != 0 {
		return File{}, syscall.ELOOP
	}
	// O_NONBLOCK: a fifo must not block us.
	file, err := d.root.OpenFile(name, access|syscall.O_NONBLOCK, 0)
	if err != nil {
		return File{}, err
	}
	if found, err := file.Stat(); err != nil || !os.SameFile(expected, found) {
		_ = file.Close()
		return File{}, syscall.ELOOP
	}
	return File{d.root, name, file}, nil
}

// OpenEntry opens an entry of any type but for calls that need no more than a Handle. What this user cannot read is
// held by its name, as is a symbolic link.
func (d Directory) OpenEntry(name string) (Handle, error) {
	file, err := d.OpenFile(name)
	if err == nil {
		return file.Handle(), nil
	}
	if os.IsPermission(err) || err == syscall.ELOOP {
		return Handle{root: d.root, name: name}, nil
	}
	return Handle{}, err
}

// CreateFile makes a file for writing, and for reading too if readable. It must not exist.
func (d Directory) CreateFile(name string, mode uint32, readable bool) (File, error) {
	access := os.O_WRONLY
	if readable {
		access = os.O_RDWR
	}
	file, err := d.root.OpenFile(name, access|os.O_CREATE|os.O_EXCL, fileMode(mode))
	if err != nil {
		return File{}, err
	}
	return File{d.root, name, file}, nil
}

// Close closes a directory, if there is one.
func (d Directory) Close() {
	if d.root != nil {
		_ = d.root.Close()
		_ = d.file.Close()
	}
}

// Finish closes a file that was written. Filesystems of a network may tell only then that they have no room for it.
func (f File) Finish() error { return f.file.Close() }

// Close closes a file, if there is one. One that was written is finished instead.
func (f File) Close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}

// Truncate sets the size of the file.
func (f File) Truncate(size int64) error { return f.file.Truncate(size) }

func (f File) AllowHoles() {}

// ReadAt reads at least one byte, unless the file has ended.
func (f File) ReadAt(buffer []byte, offset int64) (int, error) {
	length, err := f.file.ReadAt(buffer, offset)
	if err == io.EOF {
		err = nil
	}
	return length, err
}

// WriteAt writes the whole buffer.
func (f File) WriteAt(buffer []byte, offset int64) error {
	_, err := f.file.WriteAt(buffer, offset)
	return err
}

// RaiseDescriptorLimit would allow more open descriptors; package os has done it.
func RaiseDescriptorLimit() {}

// Lock is the exclusive lock of a directory. It ends with the directory's handle.
type Lock struct{}

// Release gives the lock back.
func (Lock) Release() {}

// Lock takes the exclusive lock without waiting: ErrLocked tells that another has it.
func (d Directory) Lock() (Lock, error) {
	err := unix.Flock(int(d.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		err = ErrLocked
	}
	return Lock{}, err
}
