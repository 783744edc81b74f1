// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"bytes"
	"io"

	"migration.assistant/engine/internal/fsys"
)

// compare finds out what is to be done for an entry, whose content comes next from the reader.
func (u *unpackJob) compare(entry *unpacked, reader *archiveReader) {
	entry.todo, entry.existing, entry.found = nothing, nil, nil
	if entry.err = u.look(entry, reader); entry.err == nil && entry.todo == makeAnew && entry.stat.IsDirectory() {
		u.absent[entry.path] = true
	}
}

func (u *unpackJob) look(entry *unpacked, reader *archiveReader) error {
	if entry.path == "" {
		return u.lookAtRoot(entry)
	}
	above, name := split(entry.path)
	if u.skips(entry) {
		return nil
	}
	if u.absent[above] || u.roots.created {
		entry.todo = makeAnew
		return nil
	}
	parent, err := u.route.open(above)
	if err != nil {
		return err
	}
	at := &place{directory: parent, name: name}
	if err := u.worker.lookAt(at); err != nil {
		return err
	}
	switch {
	case !at.present:
		entry.todo = makeAnew
		return nil
	case at.stat.IsDirectory() && !entry.stat.IsDirectory():
		return errInTheWay
	case entry.implied:
		return nil
	}
	same, err := u.isSame(at, entry, reader)
	if err != nil {
		return err
	}
	if !same {
		entry.todo = makeAnew
		entry.existing, entry.oldTarget = &at.stat, at.target
		return nil
	}
	if !entry.stat.IsDirectory() && at.stat.Links() > 1 {
		entry.existing, entry.oldTarget = &at.stat, at.target
		u.shared = append(u.shared, entry)
	}
	if entry.isLink() {
		return nil
	}
	entry.inode = at.stat.Identity()
	return u.lookAtMetadata(at, entry)
}

// separate has made anew what cannot be changed in place, since others have names of its inode too, or what has names
// of an inode that another file with hard links has.
func (u *unpackJob) separate() {
	claims := claims[*unpacked]{}
	for _, entry := range u.shared {
		if file := entry.file(); file.leads {
			claims.add(file.inode, file)
		}
	}
	for _, entry := range u.shared {
		file := entry.file()
		switch {
		case file.leads && claims.isContested(file.inode), file.todo == makeAnew,
			entry == file && entry.todo == setMetadata && !claims.areAll(entry.existing, file):
			entry.todo = makeAnew
		}
	}
}

func (u *unpackJob) lookAtRoot(entry *unpacked) error {
	if u.roots.created {
		entry.todo = makeAnew
		return nil
	}
	if entry.implied {
		return nil
	}
	at := &place{directory: &directory{}, present: true}
	if err := u.roots.destination.Stat(&at.stat); err != nil {
		return unable("read the destination", err)
	}
	found := u.policy.compare(&entry.stat, &at.stat)
	if u.policy.xattrs {
		handle := u.roots.destination.Handle()
		current, err := handle.Attributes()
		if err != nil {
			return unable("read the extended attributes", err)
		}
		u.policy.compareAttributes(&found, entry.attributes, current, handle.Supports, ".")
	}
	u.note(at, entry, &found)
	return nil
}

func (u *unpackJob) lookAtMetadata(at *place, entry *unpacked) error {
	found := u.policy.compare(&entry.stat, &at.stat)
	if u.policy.xattrs && !entry.stat.IsSymlink() {
		if err := u.worker.differingAttributes(at, entry.attributes, &found); err != nil {
			return err
		}
	}
	u.note(at, entry, &found)
	return nil
}

func (u *unpackJob) note(at *place, entry *unpacked, found *difference) {
	if !found.empty() {
		entry.todo, entry.existing, entry.found = setMetadata, &at.stat, found
	}
}

// skips tells whether an entry is one that this job does not make.
func (u *unpackJob) skips(entry *unpacked) bool {
	return u.worker.job.skips(&entry.stat) || entry.stat.IsDevice() && !u.archive.devices
}

// isSame tells whether what is there is what the entry says, but for its metadata.
func (u *unpackJob) isSame(at *place, entry *unpacked, reader *archiveReader) (bool, error) {
	source := &entry.stat
	switch {
	case source.Type() != at.stat.Type():
		return false, nil
	case entry.isLink():
		if entry.leader.err != nil {
			return false, entry.leader.err
		}
		return entry.leader.todo != makeAnew && entry.leader.inode == at.stat.Identity(), nil
	case source.IsSymlink():
		return at.target == entry.target, nil
	case source.IsDevice():
		return source.SameDevice(&at.stat), nil
	case !source.IsRegular():
		return true, nil
	case source.Size() != at.stat.Size():
		return false, nil
	case u.archive.checksum:
		return u.sameContent(at, reader)
	}
	return u.policy.sameTime(source, &at.stat), nil
}

func (u *unpackJob) sameContent(at *place, reader *archiveReader) (bool, error) {
	file, err := openSame(at.directory.destination, at.name, &at.stat, "destination")
	if err != nil {
		return false, unable("read the destination", err)
	}
	defer file.Close()
	stream := fsys.Stream{File: file}
	w := u.worker
	w.needBuffers()
	for {
		length, err := io.ReadFull(reader, w.buffer)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, nil // what is wrong with the archive shows when the rest is read
		}
		if length == 0 {
			return true, nil
		}
		there := w.second[:length]
		if _, err := io.ReadFull(&stream, there); err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		} else if err != nil {
			return false, unable("read the destination", err)
		}
		if !bytes.Equal(w.buffer[:length], there) {
			return false, nil
		}
	}
}
