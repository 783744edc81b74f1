// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/fsys"
)

// touched is what a directory of the destination loses when a phase after the walk writes in it.
type touched struct {
	modified unix.Timespec
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
	d := &directory{path: path, source: -1, destination: -1}
	var err error
	if d.source, err = openBelow(job.roots.source, path, fsys.OpenDirectory); err != nil {
		return nil, unableToRead("open the source directory", err)
	}
	if d.destination, err = job.reopenDestination(path); err != nil {
		fsys.Close(d.source)
		return nil, err
	}
	if d.destination >= 0 {
		inherited, _, err := fsys.Opened(d.destination).Attributes()
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
	fsys.Close(d.source)
	fsys.Close(d.destination)
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
// it is -1 for a directory that is not there, or is to take the place of something else.
func (j *syncJob) reopenDestination(path string) (int, error) {
	if j.roots.destination < 0 {
		return -1, nil
	}
	below := ""
	fd, err := openBelow(j.roots.destination, path, func(parent int, name string) (int, error) {
		below = join(below, name)
		return j.openForWriting(parent, name, below)
	})
	if j.DryRun && (err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP) {
		return -1, nil
	}
	if err != nil {
		return -1, unable("open the destination's directory", err)
	}
	if !j.DryRun {
		var stat fsys.Stat
		if err := fsys.Fstat(fd, &stat); err != nil {
			fsys.Close(fd)
			return -1, unable("open the destination's directory", err)
		}
		j.remember(path, &stat, false)
	}
	return fd, nil
}

// openForWriting opens a directory of the destination; if its owner, this user, has closed it to himself, it is
// opened up until restoreTouched.
func (j *syncJob) openForWriting(parent int, name, path string) (int, error) {
	if !j.policy.root && !j.DryRun {
		var stat fsys.Stat
		if err := fsys.Lstat(parent, name, &stat); err != nil {
			return -1, err
		}
		if fsys.IsDirectory(&stat) && j.policy.mustLift(&stat) {
			j.remember(path, &stat, true)
			if _, err := liftMode(parent, name, &stat); err != nil {
				return -1, err
			}
		}
	}
	return fsys.OpenDirectory(parent, name)
}

func (j *syncJob) remember(path string, stat *fsys.Stat, lifted bool) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if _, known := j.touched[path]; !known {
		j.touched[path] = touched{modified: stat.Mtim, mode: fsys.Permissions(stat), lifted: lifted}
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
		if err != nil && err != unix.ENOENT && err != unix.ENOTDIR {
			j.entryFailed(path, unable("set the metadata", err))
		}
	}
}

func (j *syncJob) restore(path string, before touched) error {
	fd, err := openBelow(j.roots.destination, path, fsys.OpenDirectory)
	if err != nil {
		return err
	}
	defer fsys.Close(fd)
	handle := fsys.Opened(fd)
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

// openBelow opens the directory at a path below an open root by opening each component; the caller closes it.
func openBelow(root int, path string, open func(parent int, name string) (int, error)) (int, error) {
	current, err := unix.FcntlInt(uintptr(root), unix.F_DUPFD_CLOEXEC, 0)
	if path == "" || err != nil {
		return current, err
	}
	for name := range strings.SplitSeq(path, "/") {
		next, err := open(current, name)
		fsys.Close(current)
		if err != nil {
			return -1, err
		}
		current = next
	}
	return current, nil
}
