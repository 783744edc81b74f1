// SPDX-License-Identifier: GPL-3.0-or-later

//go:build failpoints

package files_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"migration.assistant/engine/internal/fsys"
)

// makeCrashTrees makes a source and a destination between which a run has every kind of thing to do.
func makeCrashTrees(t *testing.T) *trees {
	trees := newTrees(t)
	makeVariety(t, trees.source)
	trees.write("source/replaced", "now a file")
	trees.write("destination/replaced/sub/file", "was a directory")
	trees.write("destination/extra/one", "to delete")
	trees.write("destination/extra/two", "to delete")
	trees.write("destination/.migration-assistant-0123456789abcdef.tmp", "left over")
	trees.write("destination/file", "old")
	trees.write("destination/deep/er/file", "x")
	age(t, trees.destination)
	return trees
}

// runWithFailpoint gives what a run said until its end.
func runWithFailpoint(t *testing.T, trees *trees, variable string) string {
	t.Helper()
	started := startEngine(t, arguments{parameters: trees.parameters(object{"delete": true})}, func(command *exec.Cmd) {
		command.Env = append(command.Env, variable)
	})
	must(t, started.input.Close())
	_, err := started.seen.ReadFrom(started.events)
	must(t, err)
	_ = started.command.Wait()
	return started.seen.String()
}

// countHits tells how often a complete run comes by each failpoint.
func countHits(t *testing.T) map[string]int {
	t.Helper()
	log := filepath.Join(temporaryDirectory(t), "log")
	runWithFailpoint(t, makeCrashTrees(t), "MIGRATION_FAILPOINT_LOG="+log)
	content, err := os.ReadFile(log)
	must(t, err)
	hits := map[string]int{}
	for _, name := range strings.Fields(string(content)) {
		hits[name]++
	}
	return hits
}

func TestAKilledRunLeavesWhatTheNextCompletes(t *testing.T) {
	hits := countHits(t)
	names := []string{
		"temporary_created", "data_written", "metadata_set", "renamed", "directory_created", "directory_finished",
		"link_made", "deleted", "temporary_removed", "before_result",
	}
	if canLink(t) {
		names = append(names, "symlink_made")
	}
	if fsys.KeepsSpecials {
		names = append(names, "special_made")
	}
	for _, name := range names {
		name = "file_sync." + name
		if hits[name] == 0 {
			t.Errorf("no run comes by %s", name)
			continue
		}
		numbers := []int{1, (hits[name] + 1) / 2, hits[name]}
		for _, number := range slices.Compact(numbers) {
			t.Run(fmt.Sprint(name, ":", number), func(t *testing.T) { killAndComplete(t, fmt.Sprint(name, ":", number)) })
		}
	}
}

func killAndComplete(t *testing.T, failpoint string) {
	trees := makeCrashTrees(t)
	before := contents(t, trees.destination)
	wanted := contents(t, trees.source)
	if said := runWithFailpoint(t, trees, "MIGRATION_FAILPOINT="+failpoint); strings.Contains(said, `"performance"`) {
		t.Fatalf("the run was not killed: %s", said)
	}
	for path, content := range contents(t, trees.destination) {
		if !strings.Contains(path, ".migration-assistant-") && content != before[path] && content != wanted[path] {
			t.Errorf("%s is half done: %.40q", path, content)
		}
	}
	trees.sync(object{"delete": true})
	trees.same()
	noTemporaries(t, trees.destination)
	trees.sync(object{"delete": true}).expect(false)
}

// contents gives the contents of the regular files of a tree.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for path := range describe(t, root) {
		if info, err := os.Lstat(filepath.Join(root, path)); err == nil && info.Mode().IsRegular() {
			content, err := os.ReadFile(filepath.Join(root, path))
			must(t, err)
			found[path] = string(content)
		}
	}
	return found
}
