// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"golang.org/x/sys/unix"

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
	wanted, _, err := fsys.EntryAttributes(d.source, at.name)
	if err != nil {
		return found, unableToRead("read the extended attributes", err)
	}
	current, _, err := fsys.EntryAttributes(d.destination, at.name)
	if err != nil {
		return found, unable("read the extended attributes", err)
	}
	if len(wanted) > 0 || len(current) > 0 {
		keeps := fsys.Opened(d.destination).Supports
		policy.compareAttributes(&found, wanted, current, keeps, display(d.join(at.name)))
	}
	return found, nil
}

// updateMetadata puts right what differs, by a descriptor of the entry that was compared.
func (w *worker) updateMetadata(at *place, source *fsys.Stat, found *difference) error {
	if !w.job.DryRun {
		fd, err := fsys.OpenEntry(at.directory.destination, at.name)
		if err != nil {
			return unable("set the metadata", err)
		}
		defer fsys.Close(fd)
		var held fsys.Stat
		if err := fsys.Fstat(fd, &held); err != nil {
			return unable("set the metadata", err)
		}
		if !fsys.SameInode(&held, &at.stat) {
			return replaced("destination")
		}
		if err := w.job.policy.apply(fsys.Held(fd), found, source, &at.stat); err != nil {
			return err
		}
		failpoint.Hit("file_sync.metadata_set")
	}
	w.reportMetadata(at, source, found)
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

// settle gives a new entry, which is made as it stands in made, its owner, mode, extended attributes and time.
func (w *worker) settle(at *place, source, made *fsys.Stat, handle, from fsys.Handle) error {
	policy := w.job.policy
	user, group := policy.newOwner(source, made.Uid, made.Gid)
	if user >= 0 || group >= 0 {
		if err := handle.Chown(user, group); err != nil {
			return unable("set the owner", err)
		}
	}
	mode := policy.mode(source, at.existing())
	if mode != fsys.Permissions(made) || user >= 0 || group >= 0 {
		if err := handle.Chmod(mode); err != nil {
			return unable("set the mode", err)
		}
	}
	if err := w.copyAttributes(handle, from, at.directory.inheritsACL, mode, at.directory, at.name); err != nil {
		return err
	}
	if policy.timestamps {
		if err := handle.SetModified(source.Mtim); err != nil {
			return unable("set the times", err)
		}
	}
	failpoint.Hit("file_sync.metadata_set")
	return nil
}

// copyAttributes gives a new entry the extended attributes of its source, and takes those that it inherited.
func (w *worker) copyAttributes(handle, from fsys.Handle, inherits bool, mode uint32, d *directory, name string) error {
	policy := w.job.policy
	if !policy.xattrs {
		return nil
	}
	wanted, _, err := from.Attributes()
	if err != nil {
		return unableToRead("read the extended attributes", err)
	}
	if len(wanted) == 0 && !inherits {
		return nil
	}
	var current fsys.Attributes
	if inherits {
		if current, _, err = handle.Attributes(); err != nil && err != unix.EBADF {
			return unable("read the extended attributes", err)
		}
	}
	var found difference
	policy.compareAttributes(&found, wanted, current, handle.Supports, display(d.join(name)))
	return policy.applyAttributes(handle, &found, mode)
}
