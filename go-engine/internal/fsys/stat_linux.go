// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"math/big"
	"strconv"

	"golang.org/x/sys/unix"
)

// Stat is what the system says of an entry.
type Stat = unix.Stat_t

// Lstat reads what the name is now.
func Lstat(parent int, name string, stat *Stat) error {
	return unix.Fstatat(parent, name, stat, unix.AT_SYMLINK_NOFOLLOW)
}

// Fstat reads what an open descriptor is.
func Fstat(fd int, stat *Stat) error { return unix.Fstat(fd, stat) }

// Type gives the type bits of a mode.
func Type(stat *Stat) uint32 { return stat.Mode & unix.S_IFMT }

// IsDirectory tells whether the entry is a directory.
func IsDirectory(stat *Stat) bool { return Type(stat) == unix.S_IFDIR }

// IsRegular tells whether the entry is a regular file.
func IsRegular(stat *Stat) bool { return Type(stat) == unix.S_IFREG }

// IsSymlink tells whether the entry is a symbolic link.
func IsSymlink(stat *Stat) bool { return Type(stat) == unix.S_IFLNK }

// IsDevice tells whether the entry is a block or character device.
func IsDevice(stat *Stat) bool { return Type(stat) == unix.S_IFBLK || Type(stat) == unix.S_IFCHR }

// Permissions gives the mode without the type.
func Permissions(stat *Stat) uint32 { return stat.Mode & 0o7777 }

// Kind gives the protocol's word for the type.
func Kind(stat *Stat) string {
	switch Type(stat) {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// SameInode tells whether both describe the same inode, of the same type.
func SameInode(one, other *Stat) bool {
	return one.Ino == other.Ino && one.Dev == other.Dev && Type(one) == Type(other)
}

// SameModified tells whether both were modified at the same nanosecond.
func SameModified(one, other *Stat) bool { return one.Mtim == other.Mtim }

// ModifiedBefore tells whether one was modified before the other.
func ModifiedBefore(one, other *Stat) bool {
	return one.Mtim.Sec < other.Mtim.Sec || one.Mtim.Sec == other.Mtim.Sec && one.Mtim.Nsec < other.Mtim.Nsec
}

// AppendModified appends the nanoseconds since 1970, which an int64 cannot hold for every year.
func AppendModified(to []byte, stat *Stat) []byte {
	seconds, nanoseconds := int64(stat.Mtim.Sec), int64(stat.Mtim.Nsec)
	const limit = 9e9
	if seconds > -limit && seconds < limit {
		return strconv.AppendInt(to, seconds*1e9+nanoseconds, 10)
	}
	total := new(big.Int).Mul(big.NewInt(seconds), big.NewInt(1e9))
	return total.Add(total, big.NewInt(nanoseconds)).Append(to, 10)
}

// IsSparse tells whether a file takes less room than its size, as files with holes do.
func IsSparse(stat *Stat) bool { return stat.Blocks*512 < stat.Size }
