// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package sumcache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/fsys"
)

var kind = digest.Named("sha256")

// place makes an empty directory for a cache and its files. Few file systems keep times that can be trusted.
func place(t *testing.T) (fsys.Directory, string) {
	t.Helper()
	base := t.TempDir()
	held, err := fsys.OpenRoot(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Close)
	file, _ := write(t, held, base, "probe", "")
	if !file.KeepsChangeTime() {
		t.Skip("the file system of temporary files is not one whose times of change are trusted")
	}
	return held, filepath.Join(base, "migration-assistant")
}

func write(t *testing.T, held fsys.Directory, base, name, content string) (fsys.File, fsys.Stat) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := held.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(file.Close)
	var stat fsys.Stat
	if err := file.Stat(&stat); err != nil {
		t.Fatal(err)
	}
	return file, stat
}

func opened(t *testing.T, base string, options Options) *Cache {
	t.Helper()
	cache, notice, err := open(base, options)
	if err != nil || notice != "" || cache == nil {
		t.Fatalf("the cache cannot be opened: %v %s", err, notice)
	}
	return cache
}

// remember keeps a checksum of a file that has been left alone for long enough.
func remember(cache *Cache, file fsys.File, stat *fsys.Stat, sum []byte) {
	reading := Reading{cache, kind, *stat}
	reading.Keep(file, sum)
}

func sum(number int) []byte { return fmt.Appendf(nil, "%032d", number) }

func TestManyFilesAtOnceAreRememberedAndTheSizeHolds(t *testing.T) {
	held, base := place(t)
	const size, many = 128 << 10, 600
	cache := opened(t, base, Options{MaxSize: size})
	var files [many]fsys.File
	var stats [many]fsys.Stat
	for number := range many {
		files[number], stats[number] = write(t, held, filepath.Dir(base), fmt.Sprint(number), "content")
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for number := worker; number < many; number += 4 {
				remember(cache, files[number], &stats[number], sum(number))
			}
		})
	}
	group.Wait()
	known := 0
	for number := range many {
		found := cache.Find(kind, files[number], &stats[number])
		if found != nil && string(found) != string(sum(number)) {
			t.Fatalf("file %d has the checksum %s", number, found)
		}
		if found != nil {
			known++
		}
		if cache.Find(digest.Named("blake3"), files[number], &stats[number]) != nil {
			t.Fatal("a checksum of one kind is taken for one of another")
		}
	}
	if known < many*9/10 {
		t.Errorf("%d of %d files are remembered in %d bytes", known, many, size)
	}
	_ = cache.Close()
	for _, other := range []Options{{MaxSize: 16 << 10}, {MaxSize: size}} {
		cache = opened(t, base, other)
		info, err := os.Stat(filepath.Join(base, "checksums", "cache"))
		if err != nil || info.Size() > other.MaxSize {
			t.Errorf("the cache has %d bytes: %v", info.Size(), err)
		}
		if left := remembered(cache, files[:], stats[:]); left == 0 || left > 3*inPage && other.MaxSize < size {
			t.Errorf("%d entries are taken over", left)
		}
		_ = cache.Close()
	}
}

func remembered(cache *Cache, files []fsys.File, stats []fsys.Stat) (count int) {
	for number := range files {
		if cache.Find(kind, files[number], &stats[number]) != nil {
			count++
		}
	}
	return count
}

func TestAFileThatHasJustChangedIsNotRemembered(t *testing.T) {
	held, base := place(t)
	cache := opened(t, base, Options{MaxSize: 64 << 10})
	file, stat := write(t, held, filepath.Dir(base), "file", "content")
	reading := cache.Begin(kind, file, &stat)
	reading.Keep(file, sum(1))
	if cache.Find(kind, file, &stat) != nil {
		t.Error("it is remembered")
	}
	// One that changes while it is read neither.
	reading = Reading{cache, kind, stat}
	if err := os.WriteFile(filepath.Join(filepath.Dir(base), "file"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	reading.Keep(file, sum(1))
	var now fsys.Stat
	if err := file.Stat(&now); err != nil || cache.Find(kind, file, &now) != nil || cache.Find(kind, file, &stat) != nil {
		t.Errorf("what was read of an earlier content is remembered: %v", err)
	}
}

func TestOldEntriesAreForgotten(t *testing.T) {
	held, base := place(t)
	cache := opened(t, base, Options{MaxSize: 64 << 10, MaxAge: 1})
	file, stat := write(t, held, filepath.Dir(base), "file", "content")
	remember(cache, file, &stat, sum(1))
	if cache.Find(kind, file, &stat) == nil {
		t.Fatal("it is not remembered")
	}
	time.Sleep(2100 * time.Millisecond)
	if cache.Find(kind, file, &stat) != nil {
		t.Error("it is remembered for too long")
	}
}

func TestWhatOthersCouldHaveWrittenIsNotUsed(t *testing.T) {
	_, base := place(t)
	_ = opened(t, base, Options{MaxSize: 64 << 10}).Close()
	directory := filepath.Join(base, "checksums")
	file := filepath.Join(directory, "cache")
	for name, spoil := range map[string]func() error{
		"open to other users":     func() error { return os.Chmod(file, 0o660) },
		"checksums is open to":    func() error { return os.Chmod(directory, 0o770) },
		"has another name":        func() error { return os.Link(file, file+"2") },
		"is a symbolic link":      func() error { return relink(file) },
		"is not a directory":      func() error { return relink(directory) },
		"migration-assistant is ": func() error { return os.Chmod(base, 0o777) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			cache, _, err := open(base, Options{MaxSize: 64 << 10, ReadOnly: readOnly})
			if err == nil || cache != nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := os.RemoveAll(base); err != nil {
			t.Fatal(err)
		}
		_ = opened(t, base, Options{MaxSize: 64 << 10}).Close()
	}
}

// relink puts a symbolic link in the place of a file or directory, to where that is now.
func relink(path string) error {
	if err := os.Rename(path, path+".moved"); err != nil {
		return err
	}
	return os.Symlink(path+".moved", path)
}

func TestADamagedCacheIsThrownAway(t *testing.T) {
	held, base := place(t)
	file, stat := write(t, held, filepath.Dir(base), "file", "content")
	path := filepath.Join(base, "checksums", "cache")
	for name, damage := range map[string]func(content []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut off":       func(content []byte) []byte { return content[:len(content)-1] },
		"other content": func(content []byte) []byte { return []byte(strings.Repeat("x", len(content))) },
		"header":        func(content []byte) []byte { content[40]++; return content },
	} {
		cache := opened(t, base, Options{MaxSize: 64 << 10})
		remember(cache, file, &stat, sum(1))
		_ = cache.Close()
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cache, notice, err := open(base, Options{MaxSize: 64 << 10})
		if err != nil || cache == nil || !strings.Contains(notice, "thrown away") {
			t.Fatalf("%s: %v, notice %q", name, err, notice)
		}
		if cache.Find(kind, file, &stat) != nil {
			t.Errorf("%s: what was damaged is used", name)
		}
		_ = cache.Close()
	}
	// A damaged entry is not used, and told.
	cache := opened(t, base, Options{MaxSize: 64 << 10})
	remember(cache, file, &stat, sum(1))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[strings.Index(string(content), string(sum(1)))]++
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if cache.Find(kind, file, &stat) != nil || !strings.Contains(cache.Close(), "1 damaged entries") {
		t.Error("a damaged entry is used, or not told")
	}
}

func TestNothingIsWrittenWhereNothingMayBe(t *testing.T) {
	held, base := place(t)
	if cache, notice, err := open(base, Options{MaxSize: 64 << 10, ReadOnly: true}); cache != nil || notice != "" || err != nil {
		t.Errorf("there is a cache: %v %s %v", cache, notice, err)
	}
	if _, err := os.Lstat(base); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
	file, stat := write(t, held, filepath.Dir(base), "file", "content")
	_ = opened(t, base, Options{MaxSize: 64 << 10}).Close()
	cache := opened(t, base, Options{MaxSize: 64 << 10, ReadOnly: true})
	time.Sleep(settled + 100*time.Millisecond)
	reading := cache.Begin(kind, file, &stat)
	reading.Keep(file, sum(1))
	if cache.Find(kind, file, &stat) != nil {
		t.Error("it is remembered")
	}
}
