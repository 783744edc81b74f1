// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"migration.assistant/engine/internal/fsys"
)

// spelled gives trees where names that differ in case alone are the same, and skips where they are not.
func spelled(t *testing.T) *trees {
	t.Helper()
	trees := newTrees(t)
	trees.write("destination/Probe", "")
	_, err := os.Lstat(filepath.Join(trees.destination, "pROBE"))
	must(t, os.Remove(filepath.Join(trees.destination, "Probe")))
	if err != nil {
		t.Skip("names that differ in case are different here")
	}
	return trees
}

func TestWhatDiffersInCaseIsNotDeleted(t *testing.T) {
	trees := spelled(t)
	trees.write("source/name", "new content")
	trees.write("source/sub/file", "x")
	trees.write("source/same", "same")
	trees.write("destination/Name", "old")
	trees.write("destination/SUB/FILE", "y")
	trees.write("destination/SUB/extra", "to delete")
	trees.write("destination/SAME", "same")
	trees.write("destination/Extra", "to delete")
	age(t, trees.root)
	for _, name := range []string{"source/same", "destination/same"} {
		setModified(t, filepath.Join(trees.root, name), 77_000_000_000)
	}
	done := trees.fourWays(object{"delete": true}).expect(true)
	for _, want := range []string{"update file name", "update file sub/file", "delete file Extra"} {
		if !strings.Contains(strings.Join(done.changes(), "\n"), want) {
			t.Errorf("no %q in %v", want, done.changes())
		}
	}
	if got := done.warnings(); !strings.Contains(strings.Join(got, ","), "name_differs same") {
		t.Errorf("the warnings are %v", got)
	}
	if done.statistic("deleted") != 2 || done.statistic("files_copied") != 2 || done.statistic("directories_created") != 0 {
		t.Errorf("the statistics are %v", done.terminal["statistics"])
	}
	for name, want := range map[string]string{"name": "new content", "sub/file": "x", "same": "same"} {
		content, err := os.ReadFile(filepath.Join(trees.destination, name))
		if err != nil || string(content) != want {
			t.Errorf("%s holds %q, %v", name, content, err)
		}
	}
}

func TestEachTypeReplacesOneThatIsSpelledOtherwise(t *testing.T) {
	trees := spelled(t)
	trees.write("source/a", "a file")
	trees.write("source/b/file", "in a directory")
	trees.write("destination/A/sub/file", "in a directory")
	trees.write("destination/B", "a file")
	trees.sync(object{"delete": true}).expect(true)
	trees.sync(object{"delete": true}).expect(false)
	for _, path := range []string{"a", "b/file"} {
		if _, err := os.ReadFile(filepath.Join(trees.destination, path)); err != nil {
			t.Error(err)
		}
	}
}

func TestNamesThatDifferInCaseAreTwoWhereTheyCanBe(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/name", "lower")
	trees.write("source/Name", "upper")
	entries, err := os.ReadDir(trees.source)
	must(t, err)
	if len(entries) != 2 {
		t.Skip("names that differ in case are the same here")
	}
	trees.write("source/sub/x", "x")
	trees.write("source/SUB/x", "X")
	trees.fourWays(nil).expect(true)
	trees.same()
	must(t, os.Remove(filepath.Join(trees.destination, "name")))
	trees.write("destination/NAME", "another")
	done := trees.fourWays(object{"delete": true}).expect(true, "create file name", "delete file NAME", "metadata directory .")
	if len(done.warnings()) > 0 {
		t.Errorf("the warnings are %v", done.warnings())
	}
	trees.same()
}

// TestAnEntryThatAppearsMeanwhileIsReplaced has the name taken between the listing and the end of the copy.
func TestAnEntryThatAppearsMeanwhileIsReplaced(t *testing.T) {
	trees := slowly(t, "file")
	started := startEngine(t, arguments{
		parameters: trees.parameters(object{"bandwidth_limit": 4_000_000}), job: object{"progress_interval": 0.05},
	}, nil)
	started.waitFor(`"progress"`)
	trees.write("destination/file", "of somebody else")
	started.end().expect(true)
	trees.same()
}

func TestTheDriverOfThisPlatformIsTold(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/file", "x")
	codes := []string{}
	for _, event := range trees.sync(nil).events {
		if event["event"] == "warning" {
			codes = append(codes, event["code"].(string))
		}
	}
	want := []string{}
	for _, lack := range []struct {
		keeps bool
		codes []string
	}{
		{fsys.KeepsOwners, []string{"owner_not_preserved", "group_not_preserved"}},
		{fsys.KeepsAttributes, []string{"xattrs_not_preserved"}},
		{fsys.KeepsAccessLists || !fsys.KeepsAttributes, []string{"acls_not_preserved"}},
		{fsys.KeepsModes, []string{"permissions_not_preserved"}},
	} {
		if !lack.keeps {
			want = append(want, lack.codes...)
		}
	}
	if fmt.Sprint(codes) != fmt.Sprint(want) {
		t.Errorf("the warnings are %v, not %v", codes, want)
	}
}
