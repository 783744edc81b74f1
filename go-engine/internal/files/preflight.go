// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// roots are the two open directories. destination is none where a dry run would create it; created says that this run
// did or would.
type roots struct {
	source      origin.Directory
	destination fsys.Directory
	created     bool
	firstMode   uint32 // of a destination that is made
	lock        fsys.Lock
	locked      bool
	ctx         context.Context
	patience    time.Duration // for another job's lock
	onOneHost   bool          // both are seen from here
	foldsCase   func() bool   // names that differ in case are the same in the destination

	sourceStat      fsys.Stat
	destinationStat fsys.Stat // of no identity without a destination
}

func (r *roots) close() {
	r.destination.Close()
	r.lock.Release()
}

// openRoots checks the two paths before anything is touched, makes the destination, and locks it. The source is open
// already; onOneHost says that its path means the same on this host.
func (j *syncJob) openRoots(source origin.Directory, onOneHost bool) (*roots, error) {
	parameters := j.parameters
	opened := &roots{
		source: source, locked: true, ctx: j.ctx, patience: parameters.far.lockTimeout, onOneHost: onOneHost,
	}
	err := source.Stat(&opened.sourceStat)
	if err == nil {
		opened.firstMode, err = j.policy.firstMode(&opened.sourceStat, j.policy.permissions, source)
	}
	if err != nil {
		return nil, err
	}
	refuse := func(existing string) error {
		if !onOneHost {
			return nil
		}
		return refuseOverlap(parameters, existing)
	}
	if err := opened.openDestination(parameters.destination, j.DryRun, refuse); err != nil {
		opened.close()
		return nil, err
	}
	if !opened.destination.IsOpen() {
		return opened, nil
	}
	return opened, opened.destination.Stat(&opened.destinationStat)
}

// openDestination opens the destination; unless dryRun says so, it makes it where it is missing, and locks it. refuse
// is asked about the path itself or its nearest ancestor that exists.
func (r *roots) openDestination(path string, dryRun bool, refuse func(existing string) error) error {
	existing, err := nearestExisting(path)
	if err != nil {
		return err
	}
	if err := refuse(existing); err != nil {
		return err
	}
	if !fsys.IsWritable(existing) {
		return unwritable(path, existing)
	}
	r.created = existing != path
	r.foldsCase = sync.OnceValue(func() bool { return pathFoldsCase(path) })
	if r.created {
		if dryRun {
			return nil
		}
		if err := makeRoot(path, r.firstMode); fsys.IsNoRoom(err) {
			above, _ := fsys.OpenRoot(existing)
			defer above.Close()
			return noRoomIn(above, "", err)
		} else if err != nil {
			return wire.Fail(wire.DestinationUnwritable, "unable to create the destination %s: %s", path, fsys.Reason(err))
		}
	}
	if r.destination, err = fsys.OpenRoot(path); err != nil {
		return unableToOpen("destination", path, err)
	}
	if dryRun {
		return nil
	}
	if r.lock, err = r.lockDestination(); err == fsys.ErrLocked {
		return wire.Fail(wire.DestinationBusy, "another job is writing to the destination %s", path)
	} else if err != nil {
		r.locked = false
	}
	return nil
}

// lockDestination takes the lock, and waits for another job's end as long as this one may.
func (r *roots) lockDestination() (fsys.Lock, error) {
	const pause = 50 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		lock, err := r.destination.Lock()
		if err != fsys.ErrLocked || waited >= r.patience || r.ctx.Err() != nil {
			return lock, err
		}
		time.Sleep(pause)
	}
}

// nearestExisting gives the path itself or its nearest ancestor that exists, which must be a directory.
func nearestExisting(path string) (string, error) {
	for current := path; ; current = filepath.Dir(current) {
		info, err := os.Stat(current)
		if err == nil && info.IsDir() {
			return current, nil
		}
		// A dangling symbolic link does not exist for Stat, but is in the way.
		if _, there := os.Lstat(current); err == nil || there == nil {
			return "", wire.Fail(wire.DestinationNotDir, "the destination %s is not a directory, or lies below a file", path)
		}
		if !fsys.IsNotExist(err) && !fsys.IsNotDirectory(err) || current == filepath.Dir(current) {
			return "", unableToOpen("destination", current, err)
		}
	}
}

// refuseOverlap looks at the device and inode of each ancestor, so that neither links nor bind mounts deceive it. A
// destination in a file system that the walk does not enter may be inside the source.
func refuseOverlap(parameters *syncParameters, existing string) error {
	source, destination := parameters.source, parameters.destination
	sourceInfo, err := os.Stat(source)
	if err != nil {
		return err
	}
	if within, err := hasAncestor(existing, sourceInfo); err != nil {
		return err
	} else if within && !(parameters.oneFileSystem && areApart(source, existing)) {
		return wire.Fail(wire.PathsOverlap, "the destination %s is the source %s or inside it", destination, source)
	}
	if existing != destination {
		return nil
	}
	destinationInfo, err := os.Stat(destination)
	if err != nil {
		return err
	}
	if within, err := hasAncestor(source, destinationInfo); err != nil {
		return err
	} else if within {
		return wire.Fail(wire.PathsOverlap, "the source %s is inside the destination %s", source, destination)
	}
	return nil
}

// areApart tells whether two directories are in different file systems.
func areApart(one, other string) bool {
	first, err := deviceOf(one)
	second, failed := deviceOf(other)
	return err == nil && failed == nil && first != second
}

func deviceOf(path string) (uint64, error) {
	opened, err := fsys.OpenRoot(path)
	if err != nil {
		return 0, err
	}
	defer opened.Close()
	var stat fsys.Stat
	err = opened.Stat(&stat)
	return stat.Identity().Device, err
}

// hasAncestor tells whether the path or one of its ancestors is the directory that info describes.
func hasAncestor(path string, info fs.FileInfo) (bool, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, err
	}
	for {
		ancestor, err := os.Stat(real)
		if err != nil {
			return false, err
		}
		if os.SameFile(ancestor, info) {
			return true, nil
		}
		if real == filepath.Dir(real) {
			return false, nil
		}
		real = filepath.Dir(real)
	}
}

// makeRoot makes the missing parents and the destination.
func makeRoot(path string, mode uint32) error {
	defer fsys.SetUmask(fsys.SetUmask(0))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Mkdir(path, fs.FileMode(mode))
}

func unwritable(path, existing string) error {
	if path == existing {
		return wire.Fail(wire.DestinationUnwritable, "the destination %s cannot be written", path)
	}
	return wire.Fail(wire.DestinationUnwritable, "the destination %s cannot be created: %s cannot be written", path, existing)
}

func unableToOpen(side, path string, err error) error {
	return wire.Fail(wire.IOError, "unable to open the %s %s: %s", side, path, fsys.Reason(err))
}
