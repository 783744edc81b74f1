// SPDX-License-Identifier: GPL-3.0-or-later

package fsys_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"migration.assistant/engine/internal/fsys"
)

// These tests are for every driver: run them with -tags portable for the second one of Linux.

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openTemporary gives a new directory and its path. Its entries are removed one by one: Wine does not know the call
// that t.TempDir removes by.
func openTemporary(t *testing.T) (fsys.Directory, string) {
	t.Helper()
	path, err := os.MkdirTemp("", "fsys")
	must(t, err)
	directory, err := fsys.OpenRoot(path)
	must(t, err)
	t.Cleanup(func() {
		empty(t, directory)
		directory.Close()
		must(t, os.Remove(path))
	})
	return directory, path
}

func empty(t *testing.T, directory fsys.Directory) {
	t.Helper()
	for _, entry := range list(t, directory) {
		if entry.Type != fsys.TypeDirectory {
			must(t, directory.Remove(entry.Name))
			continue
		}
		below, err := directory.OpenDirectory(entry.Name)
		must(t, err)
		empty(t, below)
		below.Close()
		must(t, directory.RemoveDirectory(entry.Name))
	}
}

func list(t *testing.T, directory fsys.Directory) []fsys.Entry {
	t.Helper()
	opened, err := directory.OpenDirectory(".")
	must(t, err)
	defer opened.Close()
	entries, err := new(fsys.Lister).List(opened)
	must(t, err)
	slices.SortFunc(entries, func(one, other fsys.Entry) int { return strings.Compare(one.Name, other.Name) })
	return entries
}

func names(t *testing.T, directory fsys.Directory) string {
	t.Helper()
	found := []string{}
	for _, entry := range list(t, directory) {
		found = append(found, entry.Name)
	}
	return strings.Join(found, " ")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func content(t *testing.T, path string) string {
	t.Helper()
	read, err := os.ReadFile(path)
	must(t, err)
	return string(read)
}

func lstat(t *testing.T, directory fsys.Directory, name string) *fsys.Stat {
	t.Helper()
	stat := &fsys.Stat{}
	must(t, directory.Lstat(name, stat))
	return stat
}

// canLink tells whether symbolic links can be made here: Windows may refuse them, and Wine has none.
func canLink(t *testing.T) bool {
	t.Helper()
	directory, path := openTemporary(t)
	return os.Symlink("target", filepath.Join(path, "link")) == nil && len(list(t, directory)) == 1
}

func TestTheZeroValuesAreClosed(t *testing.T) {
	if (fsys.Directory{}).IsOpen() || (fsys.File{}).IsOpen() {
		t.Error("something is open")
	}
	fsys.Directory{}.Close()
	fsys.File{}.Close()
}

func TestStatTellsWhatAnEntryIs(t *testing.T) {
	directory, path := openTemporary(t)
	write(t, filepath.Join(path, "file"), "content")
	must(t, os.Link(filepath.Join(path, "file"), filepath.Join(path, "same")))
	must(t, os.Mkdir(filepath.Join(path, "sub"), 0o755))
	file, same, sub := lstat(t, directory, "file"), lstat(t, directory, "same"), lstat(t, directory, "sub")
	if !file.IsRegular() || file.Kind() != "file" || file.Size() != 7 || file.Links() != 2 || !file.IsSame(same) {
		t.Errorf("the file is %+v, its other name %+v", file, same)
	}
	if !sub.IsDirectory() || sub.Kind() != "directory" || sub.IsSame(file) {
		t.Errorf("the directory is %+v", sub)
	}
	if fsys.IsNotExist(directory.Lstat("none", sub)) != true {
		t.Error("there is something that is not there")
	}
	if got := list(t, directory); len(got) != 3 || got[0].Type != fsys.TypeRegular || got[2].Type != fsys.TypeDirectory {
		t.Errorf("the list is %v", got)
	}
}

func TestTimesAndPermissionsAreSet(t *testing.T) {
	directory, path := openTemporary(t)
	modified := fsys.Time{Seconds: 1_700_000_000, Nanoseconds: 123_456_700}
	created, err := directory.CreateFile("file", 0o600, false)
	must(t, err)
	must(t, created.Handle().Chmod(0o444))
	must(t, created.Handle().SetModified(modified))
	created.Close()
	stat := lstat(t, directory, "file")
	if stat.Modified() != modified || stat.Permissions()&0o222 != 0 {
		t.Errorf("the file is %+v", stat)
	}
	entry, err := directory.OpenEntry("file")
	must(t, err)
	must(t, entry.Chmod(0o644))
	must(t, entry.SetModified(fsys.Time{Seconds: 5}))
	entry.Close()
	if stat = lstat(t, directory, "file"); stat.Modified() != (fsys.Time{Seconds: 5}) || stat.Permissions()&0o200 == 0 {
		t.Errorf("the file is %+v", stat)
	}
	must(t, directory.Handle().SetModified(modified))
	var own fsys.Stat
	must(t, directory.Stat(&own))
	if info, err := os.Stat(path); err != nil || own.Modified() != modified || info.ModTime().UnixNano() != 1_700_000_000_123_456_700 {
		t.Errorf("the directory's time is %v, %v", own.Modified(), err)
	}
}

func TestANameIsReplacedOrKept(t *testing.T) {
	directory, path := openTemporary(t)
	in := func(name string) string { return filepath.Join(path, name) }
	write(t, in("there"), "old")
	write(t, in("new"), "new")
	if err := directory.Rename("new", "there"); !fsys.IsExist(err) || content(t, in("there")) != "old" {
		t.Errorf("the error is %v", err)
	}
	must(t, directory.Replace("new", "there"))
	if content(t, in("there")) != "new" || names(t, directory) != "there" {
		t.Errorf("there is %s", names(t, directory))
	}
	must(t, directory.Rename("there", "elsewhere"))
	write(t, in("read-only"), "old")
	must(t, os.Chmod(in("read-only"), 0o444))
	must(t, directory.Replace("elsewhere", "read-only"))
	if content(t, in("read-only")) != "new" {
		t.Error("a read-only file was not replaced")
	}
}

func TestOnlyWhatIsMeantIsRemoved(t *testing.T) {
	directory, path := openTemporary(t)
	write(t, filepath.Join(path, "file"), "x")
	must(t, os.Chmod(filepath.Join(path, "file"), 0o444))
	must(t, os.MkdirAll(filepath.Join(path, "full", "sub"), 0o755))
	for name, err := range map[string]error{
		"a directory as a file":  directory.Remove("full"),
		"a file as a directory":  directory.RemoveDirectory("file"),
		"a directory with a sub": directory.RemoveDirectory("full"),
		"a file that is not":     directory.Remove("none"),
	} {
		if err == nil {
			t.Errorf("%s was removed", name)
		}
	}
	if names(t, directory) != "file full" {
		t.Fatalf("there is %s", names(t, directory))
	}
	must(t, directory.Remove("file"))
	full, err := directory.OpenDirectory("full")
	must(t, err)
	must(t, full.RemoveDirectory("sub"))
	full.Close()
	must(t, directory.RemoveDirectory("full"))
	if names(t, directory) != "" {
		t.Errorf("there is %s", names(t, directory))
	}
}

func TestANameIsGivenAcrossDirectories(t *testing.T) {
	directory, path := openTemporary(t)
	write(t, filepath.Join(path, "file"), "x")
	must(t, directory.MakeDirectory("sub", 0o755))
	if err := directory.MakeDirectory("sub", 0o755); !fsys.IsExist(err) {
		t.Errorf("the error is %v", err)
	}
	sub, err := directory.OpenDirectory("sub")
	must(t, err)
	defer sub.Close()
	must(t, directory.Link("file", sub, "linked"))
	if !lstat(t, directory, "file").IsSame(lstat(t, sub, "linked")) {
		t.Error("it is another file")
	}
	if err := directory.Link("file", sub, "linked"); !fsys.IsExist(err) {
		t.Errorf("the error is %v", err)
	}
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	if !canLink(t) {
		t.Skip("no symbolic links can be made here")
	}
	directory, path := openTemporary(t)
	must(t, os.Mkdir(filepath.Join(path, "sub"), 0o755))
	write(t, filepath.Join(path, "file"), "kept")
	must(t, os.Symlink("sub", filepath.Join(path, "to-sub")))
	must(t, os.Symlink("file", filepath.Join(path, "to-file")))
	if opened, err := directory.OpenDirectory("to-sub"); !fsys.IsNotDirectory(err) {
		t.Errorf("a link to a directory was followed: %v, %v", opened, err)
	}
	if opened, err := directory.OpenFile("to-file"); !fsys.IsLoop(err) {
		t.Errorf("a link to a file was followed: %v, %v", opened, err)
	}
	stat := lstat(t, directory, "to-file")
	target, err := new(fsys.Lister).ReadLink(directory, "to-file")
	if err != nil || target != "file" || stat.Kind() != "symlink" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	must(t, directory.MakeSymlink("third", "no/where", stat))
	must(t, directory.SetLinkModified("third", fsys.Time{Seconds: 7}))
	if made := lstat(t, directory, "third"); !made.IsSymlink() || made.Modified() != (fsys.Time{Seconds: 7}) {
		t.Errorf("the link is %+v", made)
	}
	entry, err := directory.OpenEntry("to-file")
	must(t, err)
	defer entry.Close()
	var held fsys.Stat
	if err := entry.Stat(&held); err != nil || !held.IsSymlink() || !held.IsSame(stat) {
		t.Errorf("the link is held as %+v, %v", held, err)
	}
	for _, name := range []string{"to-sub", "to-file", "third"} {
		must(t, directory.Remove(name))
	}
	if names(t, directory) != "file sub" || content(t, filepath.Join(path, "file")) != "kept" {
		t.Errorf("there is %s", names(t, directory))
	}
}

func TestFinishingAFileTellsWhatFails(t *testing.T) {
	directory, _ := openTemporary(t)
	file, err := directory.CreateFile("file", 0o600, false)
	must(t, err)
	must(t, file.Finish())
	if file.Finish() == nil {
		t.Error("what cannot be closed seems to be finished")
	}
}

func TestALockIsHeldOnce(t *testing.T) {
	directory, path := openTemporary(t)
	other, err := fsys.OpenRoot(path)
	must(t, err)
	defer other.Close()
	lock, err := directory.Lock()
	must(t, err)
	if _, err := other.Lock(); err != fsys.ErrLocked {
		t.Errorf("the error is %v", err)
	}
	again, err := directory.Duplicate()
	must(t, err)
	again.Close()
	if _, err := other.Lock(); err != fsys.ErrLocked {
		t.Errorf("the error is %v", err)
	}
	lock.Release()
}

func TestContentsAreCopied(t *testing.T) {
	directory, path := openTemporary(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	clear(data[64<<10 : 192<<10]) // a hole
	clear(data[len(data)-1000:])  // zeros at the end
	write(t, filepath.Join(path, "source"), string(data))
	from, err := directory.OpenFile("source")
	must(t, err)
	defer from.Close()
	size := int64(len(data))
	copied := int64(0)
	step := func(length int64) error {
		copied += length
		return nil
	}
	buffer, second := make([]byte, 10_000), make([]byte, 7_000)
	for name, copyAll := range map[string]func(to fsys.File) error{
		"buffered": func(to fsys.File) error { return fsys.CopyBuffered(to, from, 0, size, buffer, step) },
		"sparse": func(to fsys.File) error {
			to.AllowHoles()
			if err := to.Truncate(size); err != nil {
				return err
			}
			return fsys.CopySparse(to, from, 0, size, buffer, step)
		},
		"range": func(to fsys.File) error {
			done, err := fsys.CopyRange(to, from, 0, size, step)
			if err != nil || done == size {
				return err
			}
			return fsys.CopyBuffered(to, from, done, size-done, buffer, step)
		},
	} {
		copied = 0
		to, err := directory.CreateFile(name, 0o600, true)
		must(t, err)
		must(t, copyAll(to))
		same, err := fsys.SameContent(from, to, size, buffer, second, func(int64) error { return nil })
		to.Close()
		if err != nil || !same || content(t, filepath.Join(path, name)) != string(data) || copied > size {
			t.Errorf("%s: the copy of %d bytes is another: %v", name, copied, err)
		}
	}
}

func TestCloningIsDoneOrLeft(t *testing.T) {
	directory, path := openTemporary(t)
	write(t, filepath.Join(path, "source"), "content")
	from, err := directory.OpenFile("source")
	must(t, err)
	defer from.Close()
	to, err := directory.CreateFile("clone", 0o600, true)
	must(t, err)
	err = fsys.Clone(to, from)
	to.Close()
	if err == nil && content(t, filepath.Join(path, "clone")) != "content" || err != nil && !fsys.CannotClone(err) {
		t.Errorf("the error is %v", err)
	}
}

func TestTimesBeyondNanosecondsOfAnInteger(t *testing.T) {
	for want, time := range map[string]fsys.Time{
		"-999999999":            {Seconds: -1, Nanoseconds: 1},
		"1700000000123456789":   {Seconds: 1_700_000_000, Nanoseconds: 123_456_789},
		"99999999999000000001":  {Seconds: 99_999_999_999, Nanoseconds: 1},
		"-99999999999000000000": {Seconds: -99_999_999_999},
	} {
		if got := string(time.Append(nil)); got != want {
			t.Errorf("%v is %s", time, got)
		}
	}
	if early, late := (fsys.Time{Seconds: 1, Nanoseconds: 5}), (fsys.Time{Seconds: 2}); !early.Before(late) || late.Before(early) || early.Before(early) {
		t.Error("the order of times is wrong")
	}
}

func TestWhatWasWrittenIsFlushed(t *testing.T) {
	directory, _ := openTemporary(t)
	file, err := directory.CreateFile("file", 0o600, false)
	must(t, err)
	defer file.Close()
	must(t, file.Flush())
	if err := directory.FlushFileSystem(); (err == nil) != fsys.FlushesFileSystems {
		t.Errorf("flushing the file system gives %v", err)
	}
}

func TestAnOrdinaryDirectoryIsNotMounted(t *testing.T) {
	directory, _ := openTemporary(t)
	must(t, directory.MakeDirectory("below", 0o700))
	below, err := directory.OpenDirectory("below")
	must(t, err)
	defer below.Close()
	if mounted, err := below.IsMountedIn(directory); mounted || err != nil {
		t.Errorf("a directory is mounted: %v, %v", mounted, err)
	}
}

func TestRoomIsTold(t *testing.T) {
	directory, _ := openTemporary(t)
	if room, err := directory.Room(); err == nil && (room.Bytes == 0 || room.NoEntries) {
		t.Errorf("there is room for a test, and not %v", room)
	}
}
