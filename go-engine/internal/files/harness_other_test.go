// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux

package files_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/fsys"
)

// platformWarnings are the codes by which every job tells what this platform cannot keep.
var platformWarnings = []string{
	"acls_not_preserved", "group_not_preserved", "owner_not_preserved", "permissions_not_preserved", "xattrs_not_preserved",
}

// temporaryDirectory is removed entry by entry: Wine does not know the call that t.TempDir removes by.
func temporaryDirectory(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "files")
	must(t, err)
	t.Cleanup(func() {
		paths := []string{}
		must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			paths = append(paths, path)
			return err
		}))
		slices.Reverse(paths)
		for _, path := range paths {
			_ = os.Chmod(path, 0o700)
			must(t, os.Remove(path))
		}
	})
	return root
}

// metadata describes what of an entry is kept besides its content, and gives its identity and number of names.
func metadata(t *testing.T, path string) (described string, file fsys.Identity, links uint64) {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	parent, err := fsys.OpenRoot(filepath.Dir(path))
	must(t, err)
	defer parent.Close()
	var stat fsys.Stat
	must(t, parent.Lstat(filepath.Base(path), &stat))
	return fmt.Sprintf("%v %d", info.Mode(), info.ModTime().UnixNano()), stat.Identity(), stat.Links()
}

func setModified(t *testing.T, path string, nanoseconds int64) {
	t.Helper()
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink == 0 {
		must(t, os.Chtimes(path, time.Time{}, time.Unix(0, nanoseconds)))
	}
}

func makeFifo(string) error { return errors.ErrUnsupported }

// makeVariety fills a directory with one of everything.
func makeVariety(t *testing.T, root string) {
	t.Helper()
	in := func(path string) string { return filepath.Join(root, path) }
	for _, directory := range []string{"empty", "deep/er/and/deeper", "many"} {
		must(t, os.MkdirAll(in(directory), 0o755))
	}
	for path, content := range map[string]string{
		"file": "content", "empty-file": "", "deep/er/file": "x", "ünï": "UTF-8", "a name": "s",
		"large": strings.Repeat("0123456789abcdef", 300_000),
	} {
		must(t, os.WriteFile(in(path), []byte(content), 0o640))
	}
	for number := range 100 {
		must(t, os.WriteFile(in(fmt.Sprintf("many/%d", number)), bytes.Repeat([]byte{byte(number)}, number*37), 0o600))
	}
	must(t, os.Chmod(in("file"), 0o444))
	must(t, os.Link(in("large"), in("deep/large-too")))
	age(t, root)
	setModified(t, in("file"), 1_700_000_000_123_456_700)
}
