// SPDX-License-Identifier: GPL-3.0-or-later

package files

import "migration.assistant/engine/internal/fsys"

// firstMode gives the mode of a new directory until it is complete. It is closed to others if a rerun would put right
// what a killed run leaves: where modes are kept, and where an access control list makes them. Else it has its final mode
// from the beginning; whatever is in it is protected itself.
func (p *policy) firstMode(source *fsys.Stat, kept bool, from attributed) (uint32, error) {
	if kept {
		return closedMode, nil
	}
	if p.xattrs {
		wanted, err := from.Attributes()
		if err != nil {
			return 0, unableToRead("read the extended attributes", err)
		}
		if _, given := wanted[fsys.AccessACL]; given {
			return closedMode, nil
		}
	}
	mode := p.mode(source, nil)
	if !p.root {
		mode |= 0o700 // else this user could not write in it
	}
	return mode, nil
}

// closedMode is that of a directory that nobody else enters.
const closedMode = 0o700

// settleEmpty gives a new directory in which nothing is yet what it needs if others may enter it from the beginning: its
// owner, and no access by a list that it inherited and does not keep.
func (w *worker) settleEmpty(d *directory, mode uint32) error {
	policy, handle := w.job.policy, d.destination.Handle()
	if policy.permissions {
		return nil
	}
	if err := w.giveOwner(d); err != nil || !d.inheritsACL {
		return err
	}
	if err := w.copyAttributes(handle, noAttributes{}, true, mode, d, ""); err != nil {
		return err
	}
	d.inheritsACL = !policy.xattrs
	return unable("set the mode", handle.Chmod(mode))
}

// giveOwner gives a new directory its owner.
func (w *worker) giveOwner(d *directory) error {
	var created fsys.Stat
	if err := d.destination.Stat(&created); err != nil {
		return unable("set the metadata", err)
	}
	user, group := w.job.policy.newOwner(&d.sourceStat, created.User(), created.Group())
	if user < 0 && group < 0 {
		return nil
	}
	return unable("set the owner", d.destination.Handle().Chown(user, group))
}
