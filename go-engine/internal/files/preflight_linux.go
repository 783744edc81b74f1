// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// roots are the two open directories. destination is -1 where a dry run would create it; created says that this run
// did or would.
type roots struct {
	source      int
	destination int
	created     bool
	locked      bool

	sourceStat      fsys.Stat
	destinationStat fsys.Stat // of inode 0, which no entry has, without a destination
}

func (r *roots) close() {
	fsys.Close(r.source)
	fsys.Close(r.destination)
}

// openRoots checks the two paths before anything is touched, makes the destination, and locks it.
func openRoots(parameters *syncParameters, dryRun bool) (*roots, error) {
	source, err := openSourceRoot(parameters.source)
	if err != nil {
		return nil, err
	}
	opened := &roots{source: source, destination: -1, locked: true}
	if err := opened.openDestination(parameters, dryRun); err != nil {
		opened.close()
		return nil, err
	}
	if err := fsys.Fstat(source, &opened.sourceStat); err != nil {
		return nil, err
	}
	if opened.destination < 0 {
		return opened, nil
	}
	return opened, fsys.Fstat(opened.destination, &opened.destinationStat)
}

func openSourceRoot(path string) (int, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		return -1, wire.Fail(wire.SourceMissing, "the source %s does not exist", path)
	case err != nil:
		return -1, unableToOpen("source", path, err)
	case !info.IsDir():
		return -1, wire.Fail(wire.SourceNotDirectory, "the source %s is not a directory", path)
	}
	fd, err := fsys.OpenRoot(path)
	if err != nil {
		return -1, unableToOpen("source", path, err)
	}
	return fd, nil
}

func (r *roots) openDestination(parameters *syncParameters, dryRun bool) error {
	path := parameters.destination
	existing, err := nearestExisting(path)
	if err != nil {
		return err
	}
	if err := refuseOverlap(parameters.source, path, existing); err != nil {
		return err
	}
	if unix.Access(existing, unix.W_OK|unix.X_OK) != nil {
		return unwritable(path, existing)
	}
	r.created = existing != path
	if r.created {
		if dryRun {
			return nil
		}
		if err := makeRoot(path); isFull(err) {
			return wire.Fail(wire.DiskFull, "the destination has no room left")
		} else if err != nil {
			return wire.Fail(wire.DestinationUnwritable, "unable to create the destination %s: %s", path, reason(err))
		}
	}
	if r.destination, err = fsys.OpenRoot(path); err != nil {
		return unableToOpen("destination", path, err)
	}
	if dryRun {
		return nil
	}
	if err := fsys.Lock(r.destination); err == unix.EWOULDBLOCK {
		return wire.Fail(wire.DestinationBusy, "another job is writing to the destination %s", path)
	} else if err != nil {
		r.locked = false
	}
	return nil
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
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) || current == filepath.Dir(current) {
			return "", unableToOpen("destination", current, err)
		}
	}
}

// refuseOverlap looks at the device and inode of each ancestor, so that neither links nor bind mounts deceive it.
func refuseOverlap(source, destination, existing string) error {
	sourceInfo, err := os.Stat(source)
	if err != nil {
		return err
	}
	if within, err := hasAncestor(existing, sourceInfo); err != nil {
		return err
	} else if within {
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

// makeRoot makes the missing parents and the destination, which stays closed to others until it is complete.
func makeRoot(path string) error {
	previous := unix.Umask(0)
	defer unix.Umask(previous)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}

func unwritable(path, existing string) error {
	if path == existing {
		return wire.Fail(wire.DestinationUnwritable, "the destination %s cannot be written", path)
	}
	return wire.Fail(wire.DestinationUnwritable, "the destination %s cannot be created: %s cannot be written", path, existing)
}

func unableToOpen(side, path string, err error) error {
	return wire.Fail(wire.IOError, "unable to open the %s %s: %s", side, path, reason(err))
}
