// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package sumcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/fsys"
)

const (
	name      = "migration-assistant"
	directory = "checksums"
	fileName  = "cache"
)

// Open opens this user's cache on this host, and makes it if there is none or the one that is there is damaged. notice
// tells what is wrong with it, "" for nothing. It is nil where there can be none, or none is wanted.
func Open(options Options) (cache *Cache, notice string) {
	if options.MaxSize <= 0 {
		return nil, ""
	}
	base, err := baseDirectory()
	if err == nil {
		cache, notice, err = open(base, options)
	}
	if err != nil {
		return nil, "checksums are not remembered: " + reason(err)
	}
	return cache, notice
}

// baseDirectory gives where this collection keeps what it can do without, on this host and for this user.
func baseDirectory() (string, error) {
	number := os.Geteuid()
	if number == 0 {
		return filepath.Join("/var/lib", name), nil
	}
	if named := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(named) {
		return filepath.Join(named, name), nil
	}
	home := os.Getenv("HOME")
	// It may still be that of the user who became this one.
	var info unix.Stat_t
	if filepath.IsAbs(home) && unix.Stat(home, &info) == nil && int(info.Uid) == number {
		return filepath.Join(home, ".cache", name), nil
	}
	known, err := user.LookupId(strconv.Itoa(number))
	if err != nil || !filepath.IsAbs(known.HomeDir) {
		return "", errors.New("this user has no home directory")
	}
	return filepath.Join(known.HomeDir, ".cache", name), nil
}

// open opens the cache below a directory.
func open(base string, options Options) (cache *Cache, notice string, err error) {
	held, err := openDirectory(base, options.ReadOnly)
	if errors.Is(err, unix.ENOENT) && options.ReadOnly {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer held.Close()
	pages := uint64(max(min(options.MaxSize, mostBytes)/pageSize-1, 1))
	existing, err := openFile(held, options.ReadOnly)
	if err != nil {
		return nil, "", err
	}
	if existing != nil {
		cache, err = read(existing, options)
		switch {
		case err == nil && (cache.pages == pages || options.ReadOnly):
			return cache, "", nil
		case err == errOtherBoot: // nothing in it counts any more
		case err != nil:
			notice = fmt.Sprintf("the checksum cache is thrown away: %v", err)
		}
	}
	if options.ReadOnly {
		if existing != nil {
			_ = existing.Close()
		}
		return nil, notice, nil
	}
	made, err := create(held, pages, options, cache)
	if existing != nil {
		_ = existing.Close()
	}
	return made, notice, err
}

// openDirectory opens the directory of the cache, which nobody but this user can enter.
func openDirectory(base string, readOnly bool) (*os.File, error) {
	if !readOnly {
		if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mkdir(base, 0o755); err != nil && err != unix.EEXIST {
			return nil, &os.PathError{Op: "mkdir", Path: base, Err: err}
		}
	}
	above, err := unix.Open(base, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: base, Err: err}
	}
	defer func() { _ = unix.Close(above) }()
	if err := check(above, base, 0o022, 0, os.Geteuid()); err != nil {
		return nil, err
	}
	path := filepath.Join(base, directory)
	if !readOnly {
		if err := unix.Mkdirat(above, directory, 0o700); err != nil && err != unix.EEXIST {
			return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
		}
	}
	opened, err := unix.Openat(above, directory, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return nil, fmt.Errorf("%s is not a directory", path)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	held := os.NewFile(uintptr(opened), path)
	if err := check(opened, path, 0o077, os.Geteuid()); err != nil {
		_ = held.Close()
		return nil, err
	}
	return held, nil
}

// openFile opens the cache in its directory; nil if there is none.
func openFile(held *os.File, readOnly bool) (*os.File, error) {
	flags := unix.O_RDWR
	if readOnly {
		flags = unix.O_RDONLY
	}
	path := filepath.Join(held.Name(), fileName)
	opened, err := unix.Openat(int(held.Fd()), fileName, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == unix.ENOENT:
		return nil, nil
	case err == unix.ELOOP:
		return nil, fmt.Errorf("%s is a symbolic link", path)
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(opened), path)
	if err := check(opened, path, 0o077, os.Geteuid()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// check finds out whether others could have written what is open: the owner must be one of these.
func check(descriptor int, path string, forbidden uint32, owners ...int) error {
	var info unix.Stat_t
	if err := unix.Fstat(descriptor, &info); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	owned := false
	for _, owner := range owners {
		owned = owned || int(info.Uid) == owner
	}
	switch kind := info.Mode & unix.S_IFMT; {
	case !owned:
		return fmt.Errorf("%s belongs to another user (uid %d)", path, info.Uid)
	case info.Mode&forbidden != 0:
		return fmt.Errorf("%s is open to other users (mode %04o)", path, info.Mode&0o7777)
	case kind == unix.S_IFREG && info.Nlink > 1:
		return fmt.Errorf("%s has another name", path)
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return fmt.Errorf("%s is not a file", path)
	}
	return nil
}

var errOtherBoot = errors.New("it is from before the system was started")

// read reads the header of a cache.
func read(file *os.File, options Options) (*Cache, error) {
	var header [pageSize]byte
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, pageSize), header[:]); err != nil {
		return nil, fmt.Errorf("%s has no header", file.Name())
	}
	if string(header[:len(magic)]) != magic || !isSealed(header[:]) {
		return nil, fmt.Errorf("%s is damaged", file.Name())
	}
	pages := binary.LittleEndian.Uint64(header[len(magic):])
	info, err := file.Stat()
	if err != nil || pages == 0 || pages > mostBytes/pageSize || uint64(info.Size()) != (1+pages)*pageSize {
		return nil, fmt.Errorf("%s has not the size that it should have", file.Name())
	}
	var boot [bootLength]byte
	copy(boot[:], fsys.BootID())
	if string(header[bootAt:bootAt+bootLength]) != string(boot[:]) {
		return nil, errOtherBoot
	}
	return &Cache{file: file, pages: pages, options: options}, nil
}

// create makes a cache with what is not too old in an earlier one, nil for none, and gives it its name.
func create(held *os.File, pages uint64, options Options, earlier *Cache) (*Cache, error) {
	temporary := fmt.Sprintf(".%s-%016x", fileName, rand.Uint64())
	flags := unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	path := filepath.Join(held.Name(), fileName)
	opened, err := unix.Openat(int(held.Fd()), temporary, flags, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	made := &Cache{file: os.NewFile(uintptr(opened), path), pages: pages, options: options}
	var header [pageSize]byte
	copy(header[:], magic)
	binary.LittleEndian.PutUint64(header[len(magic):], pages)
	copy(header[bootAt:bootAt+bootLength], fsys.BootID())
	copy(header[pageSize-sealSize:], seal(header[:pageSize-sealSize]))
	_, err = made.file.WriteAt(header[:], 0)
	if err == nil {
		err = made.file.Truncate(int64(1+pages) * pageSize)
	}
	if err == nil && earlier != nil {
		err = made.take(earlier)
	}
	if err == nil {
		err = unix.Renameat(int(held.Fd()), temporary, int(held.Fd()), fileName)
	}
	if err != nil {
		_ = made.file.Close()
		_ = unix.Unlinkat(int(held.Fd()), temporary, 0)
		return nil, err
	}
	return made, nil
}

// take copies the entries of a cache of another size.
func (c *Cache) take(earlier *Cache) error {
	now := time.Now().Unix()
	for number := range earlier.pages {
		var page [pageSize]byte
		if _, err := earlier.file.ReadAt(page[:], int64(1+number)*pageSize); err != nil {
			return err
		}
		if page == [pageSize]byte{} {
			continue
		}
		for index := range inPage {
			entry := at(&page, index)
			if !isSealed(entry) || c.isOld(entry, now) {
				continue
			}
			identity := fsys.Identity{
				Device: binary.LittleEndian.Uint64(entry), Number: binary.LittleEndian.Uint64(entry[8:]),
			}
			if err := c.put(c.page(identity), (*[entrySize]byte)(entry)); err != nil {
				return err
			}
		}
	}
	return nil
}

// reason words an error, of which the path is what an administrator needs.
func reason(err error) string {
	var known *os.PathError
	if errors.As(err, &known) {
		return known.Path + ": " + fsys.Reason(known.Err)
	}
	return err.Error()
}
