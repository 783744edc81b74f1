// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"archive/tar"
	"math"
	"strings"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/tarball"
	"migration.assistant/engine/internal/wire"
)

// unpacked is an entry of an archive, and what is to be done for it.
type unpacked struct {
	path       string
	stat       fsys.Stat
	target     string    // of a symbolic link
	leader     *unpacked // of a hard link
	attributes fsys.Attributes
	sparse     bool
	listed     bool // the archive has an entry at this place of the order
	implied    bool // a directory that no entry stands for, but something is in it
	ignored    bool // nothing is to be made
	todo       todo
	inode      fsys.Identity // of a file that is up to date
	existing   *fsys.Stat    // what has the name now, where something is or may be to be done
	oldTarget  string        // of a symbolic link that has it
	found      *difference   // of metadata
	leads      bool          // hard links are to it
	kept       []byte        // the content, if it stays in memory
	parcel     *parcel       // with which it is made
	done       bool          // what was to be done was tried
	refused    bool          // this user may not make such an entry
	err        error
}

type todo uint8

const (
	nothing todo = iota
	makeAnew
	setMetadata
)

// Attributes implements attributed.
func (e *unpacked) Attributes() (fsys.Attributes, error) { return e.attributes, nil }

func (e *unpacked) isLink() bool { return e.leader != nil }

// file gives the entry that the names of a file have in common.
func (e *unpacked) file() *unpacked {
	if e.isLink() {
		return e.leader
	}
	return e
}

var archivedTypes = map[byte]fsys.Type{
	tar.TypeReg:       fsys.TypeRegular,
	tar.TypeCont:      fsys.TypeRegular,
	tar.TypeGNUSparse: fsys.TypeRegular,
	tar.TypeLink:      fsys.TypeRegular,
	tar.TypeSymlink:   fsys.TypeSymlink,
	tar.TypeChar:      fsys.TypeCharacterDevice,
	tar.TypeBlock:     fsys.TypeBlockDevice,
	tar.TypeDir:       fsys.TypeDirectory,
	tar.TypeFifo:      fsys.TypeFifo,
}

// read makes an entry of a header. It refuses what leads out of the tree, and what comes twice.
func (u *unpackJob) read(header *tar.Header) (*unpacked, error) {
	path, err := u.inside(header.Name, "the entry")
	if err != nil {
		return nil, err
	}
	kind, known := archivedTypes[header.Typeflag]
	entry := &unpacked{path: path, ignored: !known}
	if entry.ignored {
		return entry, nil
	}
	if header.Uid < 0 || header.Gid < 0 || int64(header.Uid) > math.MaxUint32 || int64(header.Gid) > math.MaxUint32 {
		return nil, u.invalid("the entry %s has an impossible owner", path)
	}
	if err := u.place(path, kind); err != nil {
		return nil, err
	}
	if header.Typeflag == tar.TypeLink {
		return entry, u.readLink(entry, header.Linkname)
	}
	if kind == fsys.TypeSymlink {
		entry.target = header.Linkname
		if leadsOut(path, entry.target) && !u.archive.allowOutsideLinks {
			return nil, wire.Fail(wire.ArchiveUnsafe, "the archive %s: the symbolic link %s may lead out of the tree, to %s; "+
				"allow_outside_links: true would make it", u.source.path, path, entry.target)
		}
	}
	details := fsys.Details{
		Type:        kind,
		Permissions: uint32(header.Mode) & 0o7777,
		User:        uint32(header.Uid),
		Group:       uint32(header.Gid),
		Modified:    fsys.Time{Seconds: header.ModTime.Unix(), Nanoseconds: int64(header.ModTime.Nanosecond())},
		Major:       uint32(header.Devmajor),
		Minor:       uint32(header.Devminor),
	}
	if !u.keepsPrivileges() {
		details.Permissions &^= 0o6000
	}
	if kind == fsys.TypeRegular {
		details.Size = header.Size
		entry.sparse = isSparse(header)
		if u.size += header.Size; u.size > u.archive.maxUnpackedSize {
			return nil, tooLarge(u.source.path, u.archive.maxUnpackedSize)
		}
	}
	if err := u.readAttributes(entry, kind, header); err != nil {
		return nil, err
	}
	details.Permissions = tarball.AccessPermissions(entry.attributes, details.Permissions)
	entry.stat = details.Stat()
	return entry, nil
}

// keepsPrivileges tells whether set-user-ID bits and capabilities are kept: only together with the owner.
func (u *unpackJob) keepsPrivileges() bool { return u.policy.root && u.policy.owner }

func (u *unpackJob) readAttributes(entry *unpacked, kind fsys.Type, header *tar.Header) error {
	if !u.policy.xattrs || kind == fsys.TypeSymlink {
		return nil
	}
	found, err := tarball.AttributesOf(header.PAXRecords)
	if err != nil {
		return u.invalid("the entry %s: %s", entry.path, err)
	}
	for name := range found {
		if !fsys.Transferable(name) || name == capabilities && !u.keepsPrivileges() {
			delete(found, name)
		}
	}
	entry.attributes = found
	return nil
}

func (u *unpackJob) readLink(entry *unpacked, target string) error {
	path, err := u.inside(target, "the hard link "+entry.path+" to")
	if err != nil {
		return err
	}
	leader := u.byPath[path]
	if leader == nil || leader.implied || !leader.stat.IsRegular() {
		return wire.Fail(wire.ArchiveUnsafe, "the archive %s: the hard link %s is to %s, which is no file before it in the archive",
			u.source.path, entry.path, path)
	}
	if leader.leader != nil {
		leader = leader.leader
	}
	leader.leads = true
	entry.leader, entry.stat = leader, leader.stat
	return nil
}

// inside gives the path of a name relative to the tree.
func (u *unpackJob) inside(name, what string) (string, error) {
	refuse := func(why string) (string, error) {
		return "", wire.Fail(wire.ArchiveUnsafe, "the archive %s: %s %s %s", u.source.path, what, name, why)
	}
	if strings.HasPrefix(name, "/") {
		return refuse("has an absolute path")
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return refuse("leads out of the tree")
		case isTemporary(part):
			return refuse("has a name that only temporary files of this collection have")
		case part != "" && part != ".":
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), nil
}

// place notes that the path is taken. Nothing has it yet, and all that is above it are directories.
func (u *unpackJob) place(path string, kind fsys.Type) error {
	if before := u.byPath[path]; before != nil && !(before.implied && kind == fsys.TypeDirectory) {
		if before.implied {
			return u.unsafe("the entry %s is no directory, but another is in it", path)
		}
		return u.invalid("the entry %s is there twice", path)
	}
	for above, has := parentOf(path); has; above, has = parentOf(above) {
		before := u.byPath[above]
		if before != nil && !before.stat.IsDirectory() {
			return u.unsafe("the entry %s is below %s, which is no directory", path, above)
		}
		if before != nil {
			break // what is above it was looked at
		}
	}
	return nil
}

// parentOf gives the directory of a path; the root has none.
func parentOf(path string) (string, bool) {
	if path == "" {
		return "", false
	}
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
		return path[:slash], true
	}
	return "", true
}

// leadsOut tells whether a symbolic link at the path may lead out of the tree. Only at its beginning ".." is known to
// lead to the directory above: behind a name, which may be that of another link, it may lead anywhere.
func leadsOut(path, target string) bool {
	if strings.HasPrefix(target, "/") {
		return true
	}
	depth, named := strings.Count(path, "/"), false
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "" || part == ".":
		case part != "..":
			named = true
		case named || depth == 0:
			return true
		default:
			depth--
		}
	}
	return false
}

func (u *unpackJob) invalid(format string, arguments ...any) error {
	return wire.Fail(wire.ArchiveInvalid, "the archive %s: "+format, append([]any{u.source.path}, arguments...)...)
}

func (u *unpackJob) unsafe(format string, arguments ...any) error {
	return wire.Fail(wire.ArchiveUnsafe, "the archive %s: "+format, append([]any{u.source.path}, arguments...)...)
}
