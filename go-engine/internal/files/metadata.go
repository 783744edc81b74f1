// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
)

// differences compares the metadata of two entries of the same type, other than directories and symbolic links.
func (w *worker) differences(at *place, source *fsys.Stat) (difference, error) {
	policy, d := w.job.policy, at.directory
	found := policy.compare(source, &at.stat)
	if !policy.xattrs {
		return found, nil
	}
	wanted, err := d.source.EntryAttributes(at.name)
	if err != nil {
		return found, unableToRead("read the extended attributes", err)
	}
	return found, w.differingAttributes(at, wanted, &found)
}

// differingAttributes adds the differences of extended attributes.
func (w *worker) differingAttributes(at *place, wanted fsys.Attributes, found *difference) error {
	d := at.directory
	current, err := d.destination.EntryAttributes(at.name)
	if err != nil {
		return unable("read the extended attributes", err)
	}
	if len(wanted) > 0 || len(current) > 0 {
		keeps := d.destination.Handle().Supports
		w.job.policy.compareAttributes(found, wanted, current, keeps, display(d.join(at.name)))
	}
	return nil
}

// attributed is where the extended attributes of a new entry come from.
type attributed interface {
	Attributes() (fsys.Attributes, error)
}

// noAttributes are those of an entry that has none.
type noAttributes struct{}

// Attributes implements attributed.
func (noAttributes) Attributes() (fsys.Attributes, error) { return nil, nil }

// updateMetadata puts right what differs.
func (w *worker) updateMetadata(at *place, source *fsys.Stat, found *difference) error {
	if !w.job.DryRun {
		if err := w.setMetadata(at, source, found); err != nil {
			return err
		}
	}
	if !found.nothingDone() {
		w.reportMetadata(at, source, found)
	}
	return nil
}

// setMetadata sets what differs, by a descriptor of the entry that was compared.
func (w *worker) setMetadata(at *place, source *fsys.Stat, found *difference) error {
	entry, err := at.directory.destination.OpenEntry(at.name)
	if err != nil {
		return unable("set the metadata", err)
	}
	defer entry.Close()
	var held fsys.Stat
	if err := entry.Stat(&held); err != nil {
		return unable("set the metadata", err)
	}
	if !held.IsSame(&at.stat) {
		return replaced("destination")
	}
	if err := w.job.policy.apply(entry, found, source, &at.stat); err != nil {
		return err
	}
	failpoint.Hit("file_sync.metadata_set")
	return nil
}

func (w *worker) reportMetadata(at *place, source *fsys.Stat, found *difference) {
	w.counters.MetadataUpdated++
	w.job.report("metadata", source, at.directory.join(at.name), &found.before, &found.after)
}

// reportMade tells of an entry that was made, in an empty place or in another's.
func (w *worker) reportMade(at *place, source *fsys.Stat, target string) {
	path, policy := at.directory.join(at.name), w.job.policy
	if !at.present {
		w.job.report("create", source, path, nil, policy.describeCreation(source, target))
		return
	}
	before, after := policy.describeReplacement(source, &at.stat, target, at.target)
	w.job.report("update", source, path, before, after)
}

// sourceEntry is an entry of the source that is not open.
type sourceEntry struct{ at *place }

// Attributes reads the extended attributes of the entry.
func (e sourceEntry) Attributes() (fsys.Attributes, error) {
	return e.at.directory.source.EntryAttributes(e.at.name)
}

// settle gives a new entry, which is made as it stands in made, its owner, mode, extended attributes and time.
func (w *worker) settle(at *place, source, made *fsys.Stat, handle fsys.Handle, from attributed) error {
	policy := w.job.policy
	user, group := policy.newOwner(source, made.User(), made.Group())
	if user >= 0 || group >= 0 {
		if err := handle.Chown(user, group); err != nil {
			return unable("set the owner", err)
		}
	}
	mode := policy.mode(source, at.existing())
	if mode != made.Permissions() || user >= 0 || group >= 0 {
		if err := handle.Chmod(mode); err != nil {
			return unable("set the mode", err)
		}
	}
	if err := w.copyAttributes(handle, from, at.directory.inheritsACL, mode, at.directory, at.name); err != nil {
		return err
	}
	if policy.timestamps {
		if err := policy.setModified(handle, source); err != nil {
			return err
		}
	}
	failpoint.Hit("file_sync.metadata_set")
	return nil
}

// copyAttributes gives a new entry the extended attributes of its source, and takes those that it inherited.
func (w *worker) copyAttributes(handle fsys.Handle, from attributed, inherits bool, mode uint32, d *directory, name string) error {
	policy := w.job.policy
	if !policy.xattrs {
		return nil
	}
	wanted, err := from.Attributes()
	if err != nil {
		return unableToRead("read the extended attributes", err)
	}
	if len(wanted) == 0 && !inherits {
		return nil
	}
	var current fsys.Attributes
	if inherits {
		if current, err = handle.Attributes(); err != nil {
			return unable("read the extended attributes", err)
		}
	}
	var found difference
	policy.compareAttributes(&found, wanted, current, handle.Supports, display(d.join(name)))
	return policy.applyAttributes(handle, &found, mode)
}
