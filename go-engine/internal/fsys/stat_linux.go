// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "golang.org/x/sys/unix"

// Stat is what the system says of an entry.
type Stat struct{ raw unix.Stat_t }

// Lstat reads what the name is now.
func (d Directory) Lstat(name string, stat *Stat) error {
	if d.follows {
		return d.statTarget(name, stat)
	}
	return unix.Fstatat(d.descriptor(), name, &stat.raw, unix.AT_SYMLINK_NOFOLLOW)
}

// Stat reads what the directory is.
func (d Directory) Stat(stat *Stat) error { return unix.Fstat(d.descriptor(), &stat.raw) }

// Stat reads what the file is.
func (f File) Stat(stat *Stat) error { return unix.Fstat(f.descriptor(), &stat.raw) }

// Type gives what the entry is.
func (s *Stat) Type() Type { return Type(s.raw.Mode & unix.S_IFMT) }

// Permissions gives the mode without the type.
func (s *Stat) Permissions() uint32 { return s.raw.Mode & 0o7777 }

// SetPermissions notes that the mode was changed.
func (s *Stat) SetPermissions(mode uint32) { s.raw.Mode = s.raw.Mode&unix.S_IFMT | mode }

// Size gives the length of a file.
func (s *Stat) Size() int64 { return s.raw.Size }

// Modified gives the time of modification.
func (s *Stat) Modified() Time {
	return Time{Seconds: int64(s.raw.Mtim.Sec), Nanoseconds: int64(s.raw.Mtim.Nsec)}
}

// Changed gives the time of the last change, be it of the content or of what is kept beside it.
func (s *Stat) Changed() Time {
	return Time{Seconds: int64(s.raw.Ctim.Sec), Nanoseconds: int64(s.raw.Ctim.Nsec)}
}

// User gives the owner.
func (s *Stat) User() uint32 { return s.raw.Uid }

// Group gives the group.
func (s *Stat) Group() uint32 { return s.raw.Gid }

// Links gives the number of names.
func (s *Stat) Links() uint64 { return uint64(s.raw.Nlink) }

// Identity gives what names the entry besides its path.
func (s *Stat) Identity() Identity {
	return Identity{Device: uint64(s.raw.Dev), Number: s.raw.Ino}
}

// SameDevice tells whether both device nodes stand for the same device.
func (s *Stat) SameDevice(other *Stat) bool { return s.raw.Rdev == other.raw.Rdev }

// IsSparse tells whether a file takes less room than its size, as files with holes do.
func (s *Stat) IsSparse() bool { return s.raw.Blocks*512 < s.raw.Size }

// Device gives the numbers of the device that a node stands for.
func (s *Stat) Device() (major, minor uint32) {
	return unix.Major(uint64(s.raw.Rdev)), unix.Minor(uint64(s.raw.Rdev))
}

// Stat makes the Stat of these details.
func (d *Details) Stat() Stat {
	made := Stat{unix.Stat_t{
		Dev: d.Identity.Device, Ino: d.Identity.Number, Mode: uint32(d.Type) | d.Permissions, Uid: d.User, Gid: d.Group,
		Rdev: unix.Mkdev(d.Major, d.Minor), Size: d.Size,
	}}
	raw := &made.raw
	setWidth(&raw.Nlink, d.Links)
	setWidth(&raw.Mtim.Sec, d.Modified.Seconds)
	setWidth(&raw.Mtim.Nsec, d.Modified.Nanoseconds)
	setWidth(&raw.Ctim.Sec, d.Changed.Seconds)
	setWidth(&raw.Ctim.Nsec, d.Changed.Nanoseconds)
	if !d.Sparse {
		raw.Blocks = (d.Size + 511) / 512
	}
	return made
}

// setWidth sets a field whose width differs between architectures.
func setWidth[Field, Value ~int32 | ~int64 | ~uint32 | ~uint64](field *Field, value Value) {
	*field = Field(value)
}
