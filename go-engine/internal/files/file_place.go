// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// filePlace is where the one file of a job is, a manifest or an archive: its directory and its name there.
type filePlace struct {
	noun      string // what messages call the file
	path      string
	name      string
	directory fsys.Directory
	identity  fsys.Identity // of the directory
	present   bool
	stat      fsys.Stat // if present
}

func (p *filePlace) close() { p.directory.Close() }

// openFilePlace checks that the file can be read, if it is the one to go by, or written, before anything else is read.
func openFilePlace(noun, path string, toRead bool) (*filePlace, error) {
	above := filepath.Dir(path)
	code := wire.DestinationUnwritable
	if toRead {
		code = wire.SourceMissing
	}
	directory, err := fsys.OpenRoot(above)
	switch {
	case fsys.IsNotExist(err) || fsys.IsNotDirectory(err):
		return nil, wire.Fail(code, "the directory of the %s %s does not exist", noun, path)
	case err != nil:
		return nil, unableToOpen("directory of the "+noun, path, err)
	}
	place := &filePlace{noun: noun, path: path, name: filepath.Base(path), directory: directory}
	if err := place.examine(toRead); err != nil {
		directory.Close()
		return nil, err
	}
	return place, nil
}

func (p *filePlace) examine(toRead bool) error {
	var directory fsys.Stat
	if err := p.directory.Stat(&directory); err != nil {
		return unableToOpen("directory of the "+p.noun, p.path, err)
	}
	p.identity = directory.Identity()
	err := p.directory.Lstat(p.name, &p.stat)
	switch {
	case err == nil && !p.stat.IsRegular():
		return wire.Fail(wire.DestinationUnwritable, "the %s %s is not a regular file", p.noun, p.path)
	case err == nil:
		p.present = true
	case !fsys.IsNotExist(err):
		return unableToOpen(p.noun, p.path, err)
	case toRead:
		return wire.Fail(wire.SourceMissing, "the %s %s does not exist", p.noun, p.path)
	}
	if above := filepath.Dir(p.path); !toRead && !fsys.IsWritable(above) {
		return wire.Fail(wire.DestinationUnwritable, "the %s %s cannot be written: %s cannot be written", p.noun, p.path, above)
	}
	return nil
}

// is tells whether an entry of a directory is the file itself.
func (p *filePlace) is(directory fsys.Directory, name string) bool {
	if name != p.name {
		return false
	}
	var stat fsys.Stat
	return directory.Stat(&stat) == nil && stat.Identity() == p.identity
}

// open opens the file that is there.
func (p *filePlace) open() (fsys.File, error) {
	return openSame(p.directory, p.name, &p.stat, p.noun)
}

// replace writes the file under a temporary name, and renames it. One that was there keeps its owner, where that is
// allowed; its mode is what mode says, or of a new file what the umask leaves of newMode.
func (p *filePlace) replace(operation string, newMode uint32, mode *uint32, write func(file fsys.File) error) error {
	if err := p.removeLeftovers(); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s%08x%s", p.temporaryPrefix(), rand.Uint32(), temporarySuffix)
	if p.present {
		newMode = 0o600
	}
	file, err := p.directory.CreateFile(temporary, newMode, false)
	if err != nil {
		return err
	}
	failpoint.Hit(operation + ".temporary_created")
	err = write(file)
	if err == nil && p.present {
		_ = file.Handle().Chown(int(p.stat.User()), int(p.stat.Group()))
	}
	if err == nil && mode != nil {
		err = file.Handle().Chmod(*mode)
	}
	if finished := file.Finish(); err == nil {
		err = finished
	}
	if err == nil {
		failpoint.Hit(operation + ".data_written")
		err = p.directory.Replace(temporary, p.name)
	}
	if err != nil {
		_ = p.directory.Remove(temporary)
		return err
	}
	failpoint.Hit(operation + ".renamed")
	return nil
}

// keptMode gives the mode of the file that is there, nil for none.
func (p *filePlace) keptMode() *uint32 {
	if !p.present {
		return nil
	}
	mode := p.stat.Permissions()
	return &mode
}

// temporaryPrefix begins the names of this file's temporary files, and of no other's.
func (p *filePlace) temporaryPrefix() string {
	sum := sha256.Sum256([]byte(p.name))
	return temporaryPrefix + hex.EncodeToString(sum[:temporaryDigits/4])
}

// removeLeftovers removes what a killed run left.
func (p *filePlace) removeLeftovers() error {
	// Opened anew: a directory is listed only once.
	directory, err := p.directory.OpenDirectory(".")
	if err != nil {
		return err
	}
	defer directory.Close()
	entries, err := (&fsys.Lister{}).List(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name, p.temporaryPrefix()) && isTemporary(entry.Name) {
			if err := p.directory.Remove(entry.Name); err != nil && !fsys.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}
