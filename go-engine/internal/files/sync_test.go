// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"migration.assistant/engine/internal/fsys"
)

func TestATreeIsKept(t *testing.T) {
	trees := newTrees(t)
	makeVariety(t, trees.source)
	trees.fourWays(nil).expect(true)
	trees.same()
}

func TestEachTypeReplacesEachOther(t *testing.T) {
	kinds := map[string]func(path string) error{
		"absent": func(string) error { return nil },
		"file":   func(path string) error { return os.WriteFile(path, []byte("content"), 0o640) },
		"empty":  func(path string) error { return os.Mkdir(path, 0o750) },
		"filled": func(path string) error { return os.MkdirAll(filepath.Join(path, "sub"), 0o750) },
	}
	if canLink(t) {
		kinds["symlink"] = func(path string) error { return os.Symlink("somewhere", path) }
	}
	if fsys.KeepsSpecials {
		kinds["fifo"] = makeFifo
	}
	for _, hardLinked := range []bool{false, true} {
		trees := newTrees(t)
		must(t, os.Mkdir(trees.destination, 0o755))
		for wanted, makeWanted := range kinds {
			for there, makeThere := range kinds {
				name := wanted + "-for-" + there
				must(t, makeWanted(filepath.Join(trees.source, name)))
				must(t, makeThere(filepath.Join(trees.destination, name)))
				if hardLinked && wanted == "file" {
					must(t, os.Link(filepath.Join(trees.source, name), filepath.Join(trees.source, name+"-too")))
				}
			}
		}
		age(t, trees.source)
		trees.fourWays(object{"delete": true, "compare": "checksum"})
		trees.same()
	}
}

func TestQuickCompareLooksAtSizeAndTimeOnly(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/same-size", "one")
	trees.write("destination/same-size", "two")
	age(t, trees.root)
	setModified(t, filepath.Join(trees.destination, "same-size"), 77)
	setModified(t, filepath.Join(trees.source, "same-size"), 77)
	setModified(t, trees.destination, 5)
	setModified(t, trees.source, 5)
	trees.sync(nil).expect(false)
	trees.sync(object{"compare": "checksum"}).expect(true, "update file same-size")
	trees.sync(object{"compare": "checksum"}).expect(false)
}

func TestChecksumSetsATimeWithoutCopying(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/file", "same")
	trees.write("destination/file", "same")
	age(t, trees.root)
	setModified(t, filepath.Join(trees.destination, "file"), 77)
	setModified(t, trees.destination, 5)
	setModified(t, trees.source, 5)
	done := trees.fourWays(object{"compare": "checksum"}).expect(true, "metadata file file")
	if done.statistic("files_copied") != 0 || done.statistic("metadata_updated") != 1 {
		t.Errorf("the statistics are %v", done.terminal["statistics"])
	}
}

func TestASharedInodeIsNotChangedForOneName(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/file", "content")
	trees.sync(nil).expect(true)
	must(t, os.Link(filepath.Join(trees.destination, "file"), filepath.Join(trees.destination, "foreign")))
	must(t, os.Chmod(filepath.Join(trees.source, "file"), 0o444))
	trees.fourWays(nil).expect(true, "update file file", "metadata directory .")
	info, err := os.Stat(filepath.Join(trees.destination, "foreign"))
	must(t, err)
	if info.Mode().Perm()&0o200 == 0 {
		t.Errorf("the other name's mode is %v", info.Mode())
	}
}

func TestHardLinksFollowTheMemberThatIsUpToDate(t *testing.T) {
	trees := newTrees(t)
	path := trees.write("source/b", "content")
	must(t, os.Link(path, filepath.Join(trees.source, "a")))
	must(t, os.Mkdir(filepath.Join(trees.source, "sub"), 0o755))
	must(t, os.Link(path, filepath.Join(trees.source, "sub/c")))
	trees.write("destination/b", "content")
	age(t, trees.root)
	setModified(t, filepath.Join(trees.destination, "b"), 88)
	setModified(t, path, 88)
	done := trees.fourWays(nil).expect(true,
		"create file a", "create directory sub", "create file sub/c", "metadata directory .")
	if done.statistic("files_copied") != 0 || done.statistic("hard_links_created") != 2 || done.statistic("files_unchanged") != 1 {
		t.Errorf("the statistics are %v", done.terminal["statistics"])
	}
	trees.same()
	must(t, os.WriteFile(path, []byte("another content"), 0o644))
	trees.fourWays(nil).expect(true, "update file a", "update file b", "update file sub/c")
	trees.same()
}

func TestFiltersHideAndProtect(t *testing.T) {
	trees := newTrees(t)
	for _, path := range []string{"keep/a.txt", "keep/a.log", "cache/x", "b.log"} {
		trees.write("source/"+path, path)
	}
	for _, path := range []string{"keep/extra.log", "keep/extra.txt", "cache/y", "gone/protected.log", "gone/other", "hidden"} {
		trees.write("destination/"+path, path)
	}
	trees.write("source/hidden", "hidden")
	age(t, trees.root)
	filters := []object{
		{"action": "include", "regex": "b\\.log"},
		{"action": "exclude", "regex": "(?:.*/)?[^/]*\\.log"},
		{"action": "exclude", "regex": "cache", "directories_only": true},
		{"action": "hide", "regex": "hidden"},
	}
	done := trees.fourWays(object{"delete": true, "filters": filters})
	done.expect(true, "metadata directory .", "metadata directory keep", "create file keep/a.txt", "create file b.log",
		"delete file keep/extra.txt", "delete file gone/other", "delete file hidden")
	if done.statistic("files_total") != 2 || done.statistic("directories_total") != 1 || done.statistic("deleted") != 3 {
		t.Errorf("the statistics are %v", done.terminal["statistics"])
	}
}

func TestLeftoversAreRemovedAndNeverCopied(t *testing.T) {
	trees := newTrees(t)
	leftover := ".migration-assistant-0123456789abcdef.tmp"
	trees.write("source/sub/file", "x")
	trees.write("source/"+leftover, "x")
	trees.write("destination/"+leftover, "x")
	trees.write("destination/sub/"+leftover, "x")
	trees.write("destination/sub/.migration-assistant-FEDCBA9876543210.tmp", "x")
	done := trees.fourWays(object{"filters": []object{{"action": "exclude", "regex": ".*\\.tmp"}}})
	if done.statistic("temporaries_removed") != 1 || done.change("sub/" + leftover)["kind"] != "temporary" {
		t.Errorf("the changes are %v", done.changes())
	}
	done = trees.fourWays(nil)
	if fmt.Sprint(done.warnings()) != "[temporary_skipped "+leftover+"]" || done.statistic("skipped") != 1 {
		t.Errorf("the warnings are %v", done.warnings())
	}
}

func TestNothingIsDeletedBeyondTheLimit(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/new", "x")
	trees.write("destination/extra/file", "x")
	done := trees.fourWays(object{"delete": true, "max_delete": 1}).expectError("max_delete_exceeded")
	if message := done.terminal["message"].(string); message != "2 entries would be deleted; max_delete allows 1" {
		t.Errorf("the message is %q", message)
	}
	if _, err := os.Stat(filepath.Join(trees.destination, "extra/file")); err != nil {
		t.Error(err)
	}
	trees.fourWays(object{"delete": true, "max_delete": 2}).expect(true)
	trees.same()
}

func TestStatisticsOfATree(t *testing.T) {
	trees := newTrees(t)
	for path, size := range map[string]int64{"a": 0, "b": 4096, "c/d": 4097, "c/e": 1 << 20, "f.log": 5, "g": 101 << 20} {
		must(t, os.Truncate(trees.write("source/"+path, ""), size))
	}
	must(t, os.Link(filepath.Join(trees.source, "b"), filepath.Join(trees.source, "c/b")))
	done := runJob(t, arguments{operation: "file_statistics", parameters: object{
		"source": trees.source, "filters": []object{{"action": "exclude", "regex": ".*\\.log"}},
	}}).expect(false)
	for name, want := range map[string]int{
		"files_total": 6, "directories_total": 1, "hard_links": 2,
		"bytes_total": 2*4096 + 4097 + 102<<20, "largest_file": 101 << 20, "files_over_100mib": 1,
		"average_file_size": (2*4096 + 4097 + 102<<20) / 6,
	} {
		if got := done.statistic(name); got != want {
			t.Errorf("%s is %d, not %d", name, got, want)
		}
	}
	histogram := done.terminal["statistics"].(object)["size_histogram"]
	if fmt.Sprint(histogram) != "map[<=100MiB:0 <=1MiB:1 <=4KiB:3 <=64KiB:1 >100MiB:1]" {
		t.Errorf("the histogram is %v", histogram)
	}
}
