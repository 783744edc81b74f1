// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"slices"

	"migration.assistant/engine/internal/fsys"
)

// touched is what a directory of the destination loses when a phase after the walk writes in it.
type touched struct {
	modified fsys.Time
	mode     uint32
	lifted   bool
}

// fewOpened bounds how many directories a worker keeps open for its next entry.
const fewOpened = 16

// reopen opens a directory that the walk has closed again, component by component from both roots. It stays open
// until closeOpened.
func (w *worker) reopen(path string) (*directory, error) {
	if d, found := w.opened[path]; found {
		return d, nil
	}
	job := w.job
	d := &directory{path: path}
	var err error
	if d.source, err = job.roots.source.OpenBelow(path); err != nil {
		return nil, unableToRead("open the source directory", err)
	}
	if d.destination, err = job.reopenDestination(path); err != nil {
		d.source.Close()
		return nil, err
	}
	if d.destination.IsOpen() {
		inherited, err := d.destination.Handle().Attributes()
		if err != nil {
			d.closeReopened()
			return nil, unable("read the extended attributes", err)
		}
		_, d.inheritsACL = inherited[fsys.DefaultACL]
	}
	if w.opened == nil {
		w.opened = map[string]*directory{}
	}
	w.opened[path] = d
	return d, nil
}

func (d *directory) closeReopened() {
	d.source.Close()
	d.destination.Close()
}

// closeOpened closes what reopen opened, once it is more than most.
func (w *worker) closeOpened(most int) {
	if len(w.opened) <= most {
		return
	}
	for _, d := range w.opened {
		d.closeReopened()
	}
	clear(w.opened)
}

// reopenDestination opens a directory of the destination to write in it, and notes what that costs it. In a dry run
// it is none for a directory that is not there, or is to take the place of something else.
func (j *syncJob) reopenDestination(path string) (fsys.Directory, error) {
	if !j.roots.destination.IsOpen() {
		return fsys.Directory{}, nil
	}
	below := ""
	opened, err := j.roots.destination.OpenBelow(path, func(parent fsys.Directory, name string) (fsys.Directory, error) {
		below = join(below, name)
		return j.openForWriting(parent, name, below)
	})
	if j.DryRun && (fsys.IsNotExist(err) || fsys.IsNotDirectory(err) || fsys.IsLoop(err)) {
		return fsys.Directory{}, nil
	}
	if err != nil {
		return fsys.Directory{}, unable("open the destination's directory", err)
	}
	if !j.DryRun {
		var stat fsys.Stat
		if err := opened.Stat(&stat); err != nil {
			opened.Close()
			return fsys.Directory{}, unable("open the destination's directory", err)
		}
		j.remember(path, &stat, false)
	}
	return opened, nil
}

// openForWriting opens a directory of the destination; if its owner, this user, has closed it to himself, it is
// opened up until restoreTouched.
func (j *syncJob) openForWriting(parent fsys.Directory, name, path string) (fsys.Directory, error) {
	if !j.policy.root && !j.DryRun {
		var stat fsys.Stat
		if err := parent.Lstat(name, &stat); err != nil {
			return fsys.Directory{}, err
		}
		if stat.IsDirectory() && j.policy.mustLift(&stat) {
			j.remember(path, &stat, true)
			if _, err := liftMode(parent, name, &stat); err != nil {
				return fsys.Directory{}, err
			}
		}
	}
	return parent.OpenDirectory(name)
}

func (j *syncJob) remember(path string, stat *fsys.Stat, lifted bool) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if _, known := j.touched[path]; !known {
		j.touched[path] = touched{modified: stat.Modified(), mode: stat.Permissions(), lifted: lifted}
	}
}

// restoreTouched gives directories back what they lost, those further down first, since they may be out of reach
// afterwards.
func (j *syncJob) restoreTouched() {
	paths := make([]string, 0, len(j.touched))
	for path := range j.touched {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	for _, path := range paths {
		err := j.restore(path, j.touched[path])
		// It may have been deleted, or not have been made.
		if err != nil && !fsys.IsNotExist(err) && !fsys.IsNotDirectory(err) {
			j.entryFailed(path, unable("set the metadata", err))
		}
	}
}

func (j *syncJob) restore(path string, before touched) error {
	opened, err := j.roots.destination.OpenBelow(path, fsys.Directory.OpenDirectory)
	if err != nil {
		return err
	}
	defer opened.Close()
	handle := opened.Handle()
	if j.policy.timestamps {
		if err := handle.SetModified(before.modified); err != nil {
			return err
		}
	}
	if before.lifted {
		return handle.Chmod(before.mode)
	}
	return nil
}
