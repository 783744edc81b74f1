// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// policy says what of an entry's metadata is kept: what the job wants, cut down to what this user can do. What
// cannot be kept is not compared either, and is told once.
type policy struct {
	preserve
	session *operations.Session
	root    bool
	user    uint32
	groups  map[uint32]bool
	umask   uint32
	keeps   bool // SELinux contexts, which this host has
	mutex   sync.Mutex
	warned  map[string]bool
	known   map[string]bool          // whether the host's SELinux policy knows a context
	grains  map[uint64]time.Duration // by device: the step in which its file system keeps times
	tried   atomic.Bool              // a time was read back
}

// ownUmask gives the process's own umask. Modes are given exactly from its first call on.
var ownUmask = sync.OnceValue(func() uint32 { return fsys.SetUmask(0) })

func newPolicy(session *operations.Session, wanted preserve) *policy {
	p := &policy{
		preserve: wanted,
		session:  session,
		root:     os.Geteuid() == 0,
		user:     uint32(os.Geteuid()),
		groups:   map[uint32]bool{uint32(os.Getegid()): true},
		warned:   map[string]bool{},
		known:    map[string]bool{},
		grains:   map[uint64]time.Duration{},
		keeps:    wanted.labels && fsys.KeepsLabels(),
		umask:    ownUmask(),
	}
	if groups, err := os.Getgroups(); err == nil {
		for _, group := range groups {
			p.groups[uint32(group)] = true
		}
	}
	p.cutDown()
	return p
}

// cutDown leaves out what the platform cannot keep, and tells it.
func (p *policy) cutDown() {
	leaveOut := func(wanted *bool, kept bool, code, message string) {
		if *wanted && !kept {
			*wanted = false
			p.warnOnce(code, message, "")
		}
	}
	leaveOut(&p.owner, fsys.KeepsOwners, "owner_not_preserved", "owners are not preserved on this platform")
	leaveOut(&p.group, fsys.KeepsOwners, "group_not_preserved", "groups are not preserved on this platform")
	leaveOut(&p.xattrs, fsys.KeepsAttributes, "xattrs_not_preserved",
		"extended attributes, access control lists and alternate streams are not preserved on this platform")
	leaveOut(&p.xattrs, fsys.AttributesAreReachable(), "xattrs_not_preserved",
		"extended attributes are not preserved: that needs /proc")
	if p.xattrs && !fsys.KeepsAccessLists {
		p.warnOnce("acls_not_preserved", "access control lists are not preserved on this platform", "")
	}
	if p.permissions && !fsys.KeepsModes {
		p.warnOnce("permissions_not_preserved", "of permissions only the read-only attribute is preserved on this platform", "")
	}
	p.specials = p.specials && fsys.KeepsSpecials // each special is told
}

func (p *policy) warnOnce(code, message string, path wire.Path) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !p.warned[code] {
		p.warned[code] = true
		p.session.Warning(code, message, path)
	}
}

// isOwn tells whether an entry belongs to this user, where entries belong to users.
func (p *policy) isOwn(stat *fsys.Stat) bool { return os.Geteuid() < 0 || stat.User() == p.user }

// changesOwner tells whether the user of an entry, now current, is to be set.
func (p *policy) changesOwner(source *fsys.Stat, current uint32) bool {
	if !p.owner || source.User() == current {
		return false
	}
	if !p.root {
		p.warnOnce("owner_not_preserved", "owners are not preserved: that needs root", "")
	}
	return p.root
}

// changesGroup tells whether the group of an entry, now current, is to be set.
func (p *policy) changesGroup(source *fsys.Stat, current uint32) bool {
	if !p.group || source.Group() == current {
		return false
	}
	if !p.root && !p.groups[source.Group()] {
		p.warnOnce("group_not_preserved", "groups are not preserved where this user is not a member of them", "")
		return false
	}
	return true
}

// newOwner gives the user and group to set on a new entry, -1 for one that creation gave already.
func (p *policy) newOwner(source *fsys.Stat, user, group uint32) (int, int) {
	newUser, newGroup := -1, -1
	if p.changesOwner(source, user) {
		newUser = int(source.User())
	}
	if p.changesGroup(source, group) {
		newGroup = int(source.Group())
	}
	return newUser, newGroup
}

// noteOwner gives the warnings of newOwner in a dry run, which creates nothing.
func (p *policy) noteOwner(source *fsys.Stat) {
	p.changesOwner(source, p.user)
	p.changesGroup(source, uint32(os.Getegid()))
}

// mode gives the permission bits of an entry that is made: the source's, or without permissions those of the entry
// that it replaces, or what the system's defaults give.
func (p *policy) mode(source, existing *fsys.Stat) uint32 {
	switch {
	case p.permissions:
		return source.Permissions()
	case existing != nil && existing.Type() == source.Type():
		return existing.Permissions()
	}
	return source.Permissions() & 0o777 &^ p.umask
}

// difference is what of an entry's metadata is to be changed, and how a change event tells it.
type difference struct {
	owner, group   int // -1 to leave it
	mode, modified bool
	wanted         fsys.Attributes
	attributes     []string  // names that differ
	path           wire.Path // of the entry, if it has attributes that differ
	refused        bool      // its SELinux context by the host
	before, after  wire.Attributes
}

const capabilities = "security.capability"

func (d *difference) empty() bool { return d.after.Empty() && d.before.Empty() }

// compare finds the differences of two entries of the same type, without extended attributes.
func (p *policy) compare(source, existing *fsys.Stat) difference {
	found := difference{owner: -1, group: -1}
	if p.timestamps && !p.sameTime(source, existing) {
		found.modified = true
		found.before.Raw("mtime", existing.Modified().Append(nil))
		found.after.Raw("mtime", source.Modified().Append(nil))
	}
	if p.permissions && !source.IsSymlink() && source.Permissions() != existing.Permissions() {
		found.mode = true
		found.before.Text("mode", octal(existing.Permissions()))
		found.after.Text("mode", octal(source.Permissions()))
	}
	found.owner, found.group = p.describeOwner(source, existing, &found.before, &found.after)
	return found
}

func (p *policy) describeOwner(source, existing *fsys.Stat, before, after *wire.Attributes) (user, group int) {
	user, group = p.newOwner(source, existing.User(), existing.Group())
	if user >= 0 {
		before.Integer("owner", int64(existing.User()))
		after.Integer("owner", int64(source.User()))
	}
	if group >= 0 {
		before.Integer("group", int64(existing.Group()))
		after.Integer("group", int64(source.Group()))
	}
	return user, group
}

// compareAttributes adds the differences of extended attributes. What the destination's file system cannot keep
// counts as alike, and is told once.
func (p *policy) compareAttributes(found *difference, wanted, current fsys.Attributes, keeps func(name string) bool, path wire.Path) {
	wanted, current = p.labelled(wanted, current, path)
	var before, after []string
	for name, value := range wanted {
		if there, exists := current[name]; exists && there == value {
			continue
		} else if !exists && !keeps(name) {
			p.attributesNotKept(path)
			continue
		} else if exists {
			before = append(before, name)
		}
		after = append(after, name)
	}
	found.attributes = slices.Clone(after)
	for name := range current {
		if _, stays := wanted[name]; !stays {
			before = append(before, name)
			found.attributes = append(found.attributes, name)
		}
	}
	found.wanted, found.path = wanted, path
	if len(found.attributes) == 0 {
		return
	}
	slices.Sort(found.attributes)
	slices.Sort(before)
	slices.Sort(after)
	found.before.Texts("xattrs", before)
	found.after.Texts("xattrs", after)
}

func (p *policy) attributesNotKept(path wire.Path) {
	p.warnOnce("xattrs_not_preserved", "the destination's file system keeps no such attributes", path)
}

// apply sets owner, mode, extended attributes and time in this order: a change of owner clears the set-user-ID bits,
// and access control lists make the group's bits of the mode.
func (p *policy) apply(handle fsys.Handle, found *difference, source, existing *fsys.Stat) error {
	if found.owner >= 0 || found.group >= 0 {
		if err := handle.Chown(found.owner, found.group); err != nil {
			return unable("set the owner", err)
		}
		// A change of owner takes the capabilities away.
		if _, wanted := found.wanted[capabilities]; wanted && !slices.Contains(found.attributes, capabilities) {
			found.attributes = append(found.attributes, capabilities)
		}
	}
	mode := existing.Permissions()
	if found.mode {
		mode = source.Permissions()
	}
	if found.mode || found.owner >= 0 || found.group >= 0 {
		if err := handle.Chmod(mode); err != nil {
			return unable("set the mode", err)
		}
	}
	if err := p.applyAttributes(handle, found, mode); err != nil {
		return err
	}
	if found.modified {
		return p.setModified(handle, source)
	}
	return nil
}

// applyAttributes sets and removes the differing attributes of an entry whose permission bits are mode.
func (p *policy) applyAttributes(handle fsys.Handle, found *difference, mode uint32) (err error) {
	if len(found.attributes) == 0 {
		return nil
	}
	// Without root the kernel wants write permission on the entry itself.
	if !p.root && mode&0o200 == 0 {
		if err := handle.Chmod(mode | 0o200); err != nil {
			return unable("set the mode", err)
		}
		defer func() {
			if failed := handle.Chmod(mode); err == nil {
				err = unable("set the mode", failed)
			}
		}()
	}
	for _, name := range found.attributes {
		if value, wanted := found.wanted[name]; wanted {
			err = handle.SetAttribute(name, value)
		} else {
			err = handle.RemoveAttribute(name)
		}
		switch {
		case err != nil && name == fsys.Label:
			found.refused = true
			p.session.Warning("selinux_not_preserved", "the SELinux context was refused: "+fsys.Reason(err), found.path)
			err = nil
		case fsys.IsUnsupported(err):
			p.attributesNotKept("")
			err = nil
		case fsys.IsTooBig(err):
			// Without its cause, which would be a full disk.
			message := fmt.Sprintf("the destination has no place for the extended attribute %s of %d bytes", name, len(found.wanted[name]))
			return &entryError{code: wire.IOError, message: message}
		}
		if err != nil {
			return unable("set the extended attribute "+name, err)
		}
	}
	return nil
}

// labelled leaves SELinux contexts out of the attributes where the destination's stays: because the source has none, or
// because it would not be kept, which is told.
func (p *policy) labelled(wanted, current fsys.Attributes, path wire.Path) (fsys.Attributes, fsys.Attributes) {
	if label, given := wanted[fsys.Label]; given && p.keepsLabel(label, path) {
		return wanted, current
	}
	return wanted.WithoutLabel(), current.WithoutLabel()
}

func (p *policy) keepsLabel(label string, path wire.Path) bool {
	if !p.labels {
		return false
	}
	if !p.keeps {
		p.warnOnce("selinux_not_preserved", "SELinux contexts are not preserved: the destination's host does not run SELinux", "")
		return false
	}
	p.mutex.Lock()
	known, asked := p.known[label]
	if !asked {
		known = fsys.KnowsLabel(label)
		p.known[label] = known
	}
	p.mutex.Unlock()
	if !known && !asked {
		message := "SELinux contexts that the destination's policy does not know are not preserved: "
		p.session.Warning("selinux_not_preserved", message+strings.TrimSuffix(label, "\x00"), path)
	}
	return known
}

// nothingDone tells whether all that was to be changed is an SELinux context, and that was refused.
func (d *difference) nothingDone() bool {
	others := d.owner >= 0 || d.group >= 0 || d.mode || d.modified
	return d.refused && !others && len(d.attributes) == 1
}

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode) }

// describeCreation gives the after of an entry that had no predecessor.
func (p *policy) describeCreation(source *fsys.Stat, target string) *wire.Attributes {
	after := &wire.Attributes{}
	switch {
	case source.IsSymlink():
		after.Text("target", target)
	case source.IsRegular():
		after.Text("mode", octal(p.mode(source, nil)))
		after.Integer("size", source.Size())
	default:
		after.Text("mode", octal(p.mode(source, nil)))
	}
	return after
}

// describeReplacement gives before and after of an entry that is made in another's place: only what differs.
func (p *policy) describeReplacement(source, existing *fsys.Stat, target, oldTarget string) (before, after *wire.Attributes) {
	before, after = &wire.Attributes{}, &wire.Attributes{}
	sameKind := source.Kind() == existing.Kind()
	if !sameKind {
		before.Text("kind", existing.Kind())
		after.Text("kind", source.Kind())
	}
	sameSize := source.IsRegular() && existing.IsRegular() && source.Size() == existing.Size()
	if existing.IsRegular() && !sameSize {
		before.Integer("size", existing.Size())
	}
	if source.IsRegular() && !sameSize {
		after.Integer("size", source.Size())
	}
	sameTarget := source.IsSymlink() && existing.IsSymlink() && target == oldTarget
	if existing.IsSymlink() && !sameTarget {
		before.Text("target", oldTarget)
	}
	if source.IsSymlink() && !sameTarget {
		after.Text("target", target)
	}
	if p.timestamps && !p.sameTime(source, existing) {
		before.Raw("mtime", existing.Modified().Append(nil))
		after.Raw("mtime", source.Modified().Append(nil))
	}
	p.describeModes(source, existing, before, after)
	p.describeOwner(source, existing, before, after)
	return before, after
}

func (p *policy) describeModes(source, existing *fsys.Stat, before, after *wire.Attributes) {
	same := !source.IsSymlink() && !existing.IsSymlink() && source.Permissions() == existing.Permissions()
	if !p.permissions || same {
		return
	}
	if !existing.IsSymlink() {
		before.Text("mode", octal(existing.Permissions()))
	}
	if !source.IsSymlink() {
		after.Text("mode", octal(source.Permissions()))
	}
}
