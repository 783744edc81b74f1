// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

const (
	directoryFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	// O_NONBLOCK: a fifo that took the file's place must not block us.
	fileFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
)

// Directory is an open directory. The zero value is none.
type Directory struct {
	number  int  // the descriptor and 1
	follows bool // symbolic links in it and below
}

// File is an open file. The zero value is none.
type File struct{ number int } // the descriptor and 1

func (d Directory) descriptor() int { return d.number - 1 }

func (f File) descriptor() int { return f.number - 1 }

// IsOpen tells whether there is a directory.
func (d Directory) IsOpen() bool { return d.number != 0 }

// IsOpen tells whether there is a file.
func (f File) IsOpen() bool { return f.number != 0 }

// OpenRoot opens a directory by its path; symbolic links in it are followed.
func OpenRoot(path string) (Directory, error) {
	return asDirectory(openAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
}

// OpenDirectory opens the directory of that name, "." for another handle of this one.
func (d Directory) OpenDirectory(name string) (Directory, error) {
	return d.below(openQuietly(d.descriptor(), name, d.flags(directoryFlags)))
}

// Duplicate gives another handle of the directory.
func (d Directory) Duplicate() (Directory, error) {
	return d.below(unix.FcntlInt(uintptr(d.descriptor()), unix.F_DUPFD_CLOEXEC, 0))
}

// below gives a directory in which symbolic links are followed if they are in this one.
func (d Directory) below(fd int, err error) (Directory, error) {
	opened, err := asDirectory(fd, err)
	opened.follows = d.follows
	return opened, err
}

// flags are those to open an entry with.
func (d Directory) flags(flags int) int {
	if d.follows {
		return flags &^ unix.O_NOFOLLOW
	}
	return flags
}

// OpenFile opens the file of that name for reading. The caller checks by Stat that it is what it expects.
func (d Directory) OpenFile(name string) (File, error) {
	return asFile(openQuietly(d.descriptor(), name, d.flags(fileFlags)))
}

// OpenForWriting opens the file of that name for reading and writing. The caller checks by Stat that it is what it
// expects.
func (d Directory) OpenForWriting(name string) (File, error) {
	return asFile(openAt(d.descriptor(), name, fileFlags&^unix.O_ACCMODE|unix.O_RDWR, 0))
}

// OpenEntry opens an entry of any type but for calls that need no more than a Handle.
func (d Directory) OpenEntry(name string) (Handle, error) {
	fd, err := openAt(d.descriptor(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Handle{}, err
	}
	return held(fd), nil
}

// CreateFile makes a file for writing, and for reading too if readable. It must not exist.
func (d Directory) CreateFile(name string, mode uint32, readable bool) (File, error) {
	access := unix.O_WRONLY
	if readable {
		access = unix.O_RDWR
	}
	flags := access | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	return asFile(openAt(d.descriptor(), name, flags, mode))
}

func asDirectory(fd int, err error) (Directory, error) {
	if err != nil {
		return Directory{}, err
	}
	return Directory{number: fd + 1}, nil
}

func asFile(fd int, err error) (File, error) {
	if err != nil {
		return File{}, err
	}
	return File{fd + 1}, nil
}

// openQuietly leaves the access time alone where that is allowed: to root, and to the owner, which a user finds out
// by trying.
func openQuietly(parent int, name string, flags int) (int, error) {
	fd, err := openAt(parent, name, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		return openAt(parent, name, flags, 0)
	}
	return fd, err
}

func openAt(parent int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(parent, name, flags, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Close closes a directory, if there is one.
func (d Directory) Close() { closeDescriptor(d.descriptor()) }

// Close closes a file, if there is one. One that was written is finished instead.
func (f File) Close() { closeDescriptor(f.descriptor()) }

// Finish closes a file that was written. Filesystems of a network may tell only then that they have no room for it.
func (f File) Finish() error {
	if err := unix.Close(f.descriptor()); err != unix.EINTR { // then it is closed all the same
		return err
	}
	return nil
}

func closeDescriptor(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// RaiseDescriptorLimit allows as many open descriptors as the system lets us have: every directory on the way down
// stays open.
func RaiseDescriptorLimit() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < limit.Max {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}

// Lock is the exclusive lock of a directory. It ends with the directory's handle.
type Lock struct{}

// Release gives the lock back.
func (Lock) Release() {}

// Lock takes the exclusive lock without waiting: ErrLocked tells that another has it.
func (d Directory) Lock() (Lock, error) {
	err := unix.Flock(d.descriptor(), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		err = ErrLocked
	}
	return Lock{}, err
}
