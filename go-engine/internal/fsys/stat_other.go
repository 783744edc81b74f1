// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux || portable

package fsys

const typeBits Type = 0o170000

// Stat is what the system says of an entry.
type Stat struct {
	mode     uint32 // type and permissions, as on Unix
	size     int64
	modified Time
	changed  Time
	user     uint32
	group    uint32
	links    uint64
	identity Identity
	detail   uint64 // the device that a node stands for, or the attributes of Windows
	sparse   bool
}

// Type gives what the entry is.
func (s *Stat) Type() Type { return Type(s.mode) & typeBits }

// Permissions gives the mode without the type.
func (s *Stat) Permissions() uint32 { return s.mode & 0o7777 }

// SetPermissions notes that the mode was changed.
func (s *Stat) SetPermissions(mode uint32) { s.mode = s.mode&uint32(typeBits) | mode }

// Size gives the length of a file.
func (s *Stat) Size() int64 { return s.size }

// Modified gives the time of modification.
func (s *Stat) Modified() Time { return s.modified }

// Changed gives the time of the last change, be it of the content or of what is kept beside it; zero where the file
// system keeps none.
func (s *Stat) Changed() Time { return s.changed }

// User gives the owner.
func (s *Stat) User() uint32 { return s.user }

// Group gives the group.
func (s *Stat) Group() uint32 { return s.group }

// Links gives the number of names.
func (s *Stat) Links() uint64 { return s.links }

// Identity gives what names the entry besides its path.
func (s *Stat) Identity() Identity { return s.identity }

// SameDevice tells whether both device nodes stand for the same device.
func (s *Stat) SameDevice(other *Stat) bool { return s.detail == other.detail }

// IsSparse tells whether a file takes less room than its size, as files with holes do.
func (s *Stat) IsSparse() bool { return s.sparse }

// Device gives the numbers of the device that a node stands for.
func (s *Stat) Device() (major, minor uint32) { return deviceNumbers(s.detail) }

// Stat makes the Stat of these details.
func (d *Details) Stat() Stat {
	return Stat{
		mode: uint32(d.Type) | d.Permissions, size: d.Size, modified: d.Modified, changed: d.Changed,
		user: d.User, group: d.Group, links: d.Links, identity: d.Identity, detail: detailOf(d), sparse: d.Sparse,
	}
}
