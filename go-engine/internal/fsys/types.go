// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"maps"
	"math/big"
	"strconv"
)

// Type is what an entry is; its values are the type bits of a Unix mode. 0 is unknown.
type Type uint32

// The types of entries. TypeOther is what only some systems have, such as the junctions of Windows.
const (
	TypeFifo            Type = 0o010000
	TypeCharacterDevice Type = 0o020000
	TypeDirectory       Type = 0o040000
	TypeBlockDevice     Type = 0o060000
	TypeRegular         Type = 0o100000
	TypeSymlink         Type = 0o120000
	TypeSocket          Type = 0o140000
	TypeOther           Type = 0o170000
)

// Entry is one name of a directory. Type is 0 where the file system does not tell.
type Entry struct {
	Name string
	Type Type
}

// Identity names a file whatever it is called. The zero value is none.
type Identity struct{ Device, Number uint64 }

// Time is a point in time since 1970, in UTC.
type Time struct{ Seconds, Nanoseconds int64 }

// Before tells whether t is earlier than other.
func (t Time) Before(other Time) bool {
	return t.Seconds < other.Seconds || t.Seconds == other.Seconds && t.Nanoseconds < other.Nanoseconds
}

// Append appends the nanoseconds since 1970 as digits, which an int64 cannot hold for every year.
func (t Time) Append(to []byte) []byte {
	const limit = 9e9
	if t.Seconds > -limit && t.Seconds < limit {
		return strconv.AppendInt(to, t.Seconds*1e9+t.Nanoseconds, 10)
	}
	total := new(big.Int).Mul(big.NewInt(t.Seconds), big.NewInt(1e9))
	return total.Add(total, big.NewInt(t.Nanoseconds)).Append(to, 10)
}

// AccessACL is the attribute that says who else may use an entry than its mode does.
const AccessACL = "system.posix_acl_access"

// DefaultACL is the attribute of a directory that new entries in it inherit.
const DefaultACL = "system.posix_acl_default"

// Extent is a part of a file that holds data.
type Extent struct{ Start, End int64 }

// Length gives how many bytes the extent has.
func (e Extent) Length() int64 { return e.End - e.Start }

// Attributes are extended attributes by name. Those that this user could not set elsewhere are left out.
type Attributes map[string]string

// Label is the attribute that holds the SELinux context of a file.
const Label = "security.selinux"

// WithoutLabel gives the attributes without the SELinux context.
func (a Attributes) WithoutLabel() Attributes {
	if _, labelled := a[Label]; !labelled {
		return a
	}
	if len(a) == 1 {
		return nil
	}
	others := maps.Clone(a)
	delete(others, Label)
	return others
}

// IsRegular tells whether the entry is a regular file.
func (s *Stat) IsRegular() bool { return s.Type() == TypeRegular }

// IsDirectory tells whether the entry is a directory.
func (s *Stat) IsDirectory() bool { return s.Type() == TypeDirectory }

// IsSymlink tells whether the entry is a symbolic link.
func (s *Stat) IsSymlink() bool { return s.Type() == TypeSymlink }

// IsDevice tells whether the entry is a block or character device.
func (s *Stat) IsDevice() bool { return s.Type() == TypeBlockDevice || s.Type() == TypeCharacterDevice }

// Kind gives the protocol's word for the type.
func (s *Stat) Kind() string { return s.Type().Kind() }

// Kind gives the protocol's word for the type.
func (t Type) Kind() string {
	switch t {
	case TypeRegular:
		return "file"
	case TypeDirectory:
		return "directory"
	case TypeSymlink, TypeOther:
		return "symlink" // a junction is one by another mechanism
	case TypeFifo:
		return "fifo"
	case TypeSocket:
		return "socket"
	}
	return "device"
}

// IsSame tells whether both describe the same entry, of the same type.
func (s *Stat) IsSame(other *Stat) bool {
	return s.Identity() == other.Identity() && s.Type() == other.Type()
}

// Details is what a Stat consists of, for one that travels between hosts.
type Details struct {
	Type         Type
	Permissions  uint32
	Size         int64
	Modified     Time
	Changed      Time // zero for not known
	User, Group  uint32
	Links        uint64
	Identity     Identity
	Major, Minor uint32 // of the device that a node stands for
	Sparse       bool
}

// Details gives what the Stat consists of.
func (s *Stat) Details() Details {
	details := Details{
		Type: s.Type(), Permissions: s.Permissions(), Size: s.Size(), Modified: s.Modified(), Changed: s.Changed(),
		User: s.User(), Group: s.Group(), Links: s.Links(), Identity: s.Identity(), Sparse: s.IsSparse(),
	}
	if s.IsDevice() {
		details.Major, details.Minor = s.Device()
	}
	return details
}
