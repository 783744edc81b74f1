// SPDX-License-Identifier: GPL-3.0-or-later

package files

import "migration.assistant/engine/internal/fsys"

// claims tell of inodes of the destination with several names whose they are, by entries of the source. What is changed
// in place, changes for all names: only an entry that has all of them may do that.
type claims[E comparable] map[fsys.Identity]claim[E]

type claim[E comparable] struct {
	entry     E
	names     uint64
	contested bool // by another entry
}

func (c claims[E]) add(inode fsys.Identity, entry E) {
	known, found := c[inode]
	if !found {
		known.entry = entry
	}
	known.contested = known.contested || known.entry != entry
	known.names++
	c[inode] = known
}

// isContested tells whether several entries have names of the inode, so that none of them can keep it.
func (c claims[E]) isContested(inode fsys.Identity) bool { return c[inode].contested }

// areAll tells whether all names of the inode that stat describes are the entry's.
func (c claims[E]) areAll(stat *fsys.Stat, entry E) bool {
	return c[stat.Identity()] == claim[E]{entry: entry, names: stat.Links()}
}

// isOwn tells whether no other entry has a name of what is there, so that it can be changed in place.
func (j *syncJob) isOwn(at *place) bool {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	// A name that another entry had until a moment ago would make the run's deeds depend on its order.
	if j.bereft[at.stat.Identity()] {
		return false
	}
	return at.stat.Links() < 2 || at.group != nil && j.claims.areAll(&at.stat, at.group)
}

// isAnothers tells whether what is there cannot be kept, since other entries with several names have some of its too.
func (j *syncJob) isAnothers(at *place) bool {
	if at.group == nil {
		return false
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.claims.isContested(at.stat.Identity())
}

// noteLoss notes that an inode is about to lose a name, if it has others.
func (j *syncJob) noteLoss(existing *fsys.Stat) {
	if existing == nil || existing.IsDirectory() || existing.Links() < 2 {
		return
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if j.bereft == nil {
		j.bereft = map[fsys.Identity]bool{}
	}
	j.bereft[existing.Identity()] = true
}
