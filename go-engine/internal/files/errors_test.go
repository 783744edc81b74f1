// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBadPathsAreRefusedBeforeAnything(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/sub/file", "x")
	trees.write("file", "x")
	tests := []struct{ source, destination, code, word string }{
		{"none", "destination", "source_missing", "none"},
		{"file/below", "destination", "source_missing", "below"},
		{"file", "destination", "source_not_directory", "file"},
		{"source", "file", "destination_not_directory", "file"},
		{"source", "file/below", "destination_not_directory", "below"},
		{"source", "source", "paths_overlap", "inside"},
		{"source", "source/new/deep", "paths_overlap", "inside"},
		{"source/sub", "source", "paths_overlap", "inside"},
	}
	if canLink(t) {
		must(t, os.Symlink("source", filepath.Join(trees.root, "link")))
		must(t, os.Symlink("nowhere", filepath.Join(trees.root, "dangling")))
		tests = append(tests, []struct{ source, destination, code, word string }{
			{"source", "dangling", "destination_not_directory", "dangling"},
			{"source", "link/new", "paths_overlap", "inside"},
			{"link", "source", "paths_overlap", "inside"},
			{"link/sub", ".", "paths_overlap", "inside"},
		}...)
	}
	for _, test := range tests {
		before := describe(t, trees.root)
		for _, dryRun := range []bool{true, false} {
			done := runJob(t, arguments{job: object{"dry_run": dryRun}, parameters: object{
				"source": trees.root + "/" + test.source, "destination": trees.root + "/" + test.destination,
			}}).expectError(test.code)
			if message := done.terminal["message"].(string); !strings.Contains(message, test.word) {
				t.Errorf("%v gives the message %q", test, message)
			}
		}
		if found := differing(before, describe(t, trees.root)); len(found) > 0 {
			t.Errorf("%v changed %v", test, found)
		}
	}
}

func TestBadParametersAreRefused(t *testing.T) {
	trees := newTrees(t)
	for name, value := range map[string]any{
		"source": "relative", "destination": "", "compare": "slow", "verify": 1, "delete": "yes", "max_delete": -1,
		"filters": []object{{"action": "exclude", "regex": "("}}, "preserve": object{"times": true},
		"parallel_files": 0, "parallel_chunks": 1025, "chunk_size": 65535, "buffer_size": 1, "bandwidth_limit": -1,
		"unknown": true,
	} {
		done := trees.sync(object{name: value}).expectError("bad_job")
		if message := done.terminal["message"].(string); !strings.Contains(message, name) {
			t.Errorf("%s gives the message %q", name, message)
		}
	}
	for _, filter := range []object{{"action": "exclude"}, {"regex": "x"}, {"action": "x", "regex": "x"}} {
		trees.sync(object{"filters": []object{filter}}).expectError("bad_job")
	}
	runJob(t, arguments{operation: "unknown", parameters: object{}}).expectError("unsupported_operation")
	runJob(t, arguments{operation: "file_statistics", parameters: object{"source": trees.root + "/none"}}).
		expectError("source_missing")
}

func TestABusyDestinationIsRefused(t *testing.T) {
	trees := slowly(t, "file")
	holder := startEngine(t, arguments{
		parameters: trees.parameters(object{"bandwidth_limit": 100_000}),
		job:        object{"lifeline": true, "progress_interval": 0.05},
	}, nil)
	holder.waitFor(`"progress"`)
	trees.sync(nil).expectError("destination_busy")
	runJob(t, arguments{parameters: trees.parameters(nil), job: object{"dry_run": true}}).expect(true)
	must(t, holder.input.Close())
	holder.end().expectError("cancelled")
	trees.sync(nil).expect(true)
}

func TestADirectoryInTheWayNeedsDelete(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/name", "a file")
	trees.write("source/other", "copied all the same")
	trees.write("destination/name/sub/file", "in the way")
	trees.write("destination/name/sub/kept", "protected")
	done := trees.fourWays(nil).expectError("partial_failure")
	if message := done.terminal["message"]; message != "1 entry failed; the first: name: a directory is in the way; delete: true would replace it" {
		t.Errorf("the message is %q", message)
	}
	if done.terminal["changed"] != true || done.terminal["resumable"] != true {
		t.Errorf("the terminal event is %v", done.terminal)
	}
	filters := []object{{"action": "protect", "regex": ".*/kept"}}
	trees.fourWays(object{"delete": true, "filters": filters}).expectError("partial_failure")
	trees.fourWays(object{"delete": true, "max_delete": 2}).expectError("max_delete_exceeded")
	done = trees.fourWays(object{"delete": true}).expect(true)
	if done.change("name")["action"] != "update" || done.statistic("deleted") != 3 {
		t.Errorf("the changes are %v", done.changes())
	}
	trees.same()
}

func noTemporaries(t *testing.T, root string) {
	t.Helper()
	for path := range describe(t, root) {
		if strings.Contains(path, ".migration-assistant-") {
			t.Errorf("%s is left", path)
		}
	}
}

// slowly limits the bandwidth so that a job of megabytes is still at work when the test acts.
func slowly(t *testing.T, names ...string) *trees {
	t.Helper()
	trees := newTrees(t)
	for _, name := range names {
		trees.write("source/"+name, strings.Repeat("0123456789abcdef", 1<<17))
	}
	return trees
}

func TestAJobEndsWithItsLifeline(t *testing.T) {
	endEarly(t, func(e *engine) error { return e.input.Close() })
}

// endEarly ends a job before it is done, and then has it completed.
func endEarly(t *testing.T, end func(*engine) error) {
	t.Helper()
	trees := slowly(t, "a", "b", "sub/c")
	started := startEngine(t, arguments{
		parameters: trees.parameters(object{"bandwidth_limit": 100_000, "parallel_files": 2}),
		job:        object{"lifeline": true, "progress_interval": 0.05},
	}, nil)
	started.waitFor(`"progress"`)
	must(t, end(started))
	done := started.end().expectError("cancelled")
	if done.terminal["resumable"] != true {
		t.Errorf("the terminal event is %v", done.terminal)
	}
	noTemporaries(t, trees.destination)
	trees.sync(nil).expect(true)
	trees.same()
}

func TestAJobEndsAtItsTimeLimit(t *testing.T) {
	trees := slowly(t, "a")
	for _, more := range []object{{}, {"parallel_chunks": 2, "chunk_size": 65536}} {
		more["bandwidth_limit"] = 100_000
		done := runJob(t, arguments{parameters: trees.parameters(more), job: object{"timeout": 0.5, "sample_interval": 0.05}})
		done.expectError("timeout")
		noTemporaries(t, trees.destination)
		if !slices.ContainsFunc(done.events, func(event object) bool { return event["event"] == "sample" }) {
			t.Error("no sample was given")
		}
	}
}

func TestAReaderThatIsGoneEndsTheJob(t *testing.T) {
	trees := slowly(t, "a", "b")
	input, output, err := os.Pipe()
	must(t, err)
	must(t, input.Close())
	ended := make(chan bool)
	go func() { ended <- runWithOutput(trees.parameters(object{"bandwidth_limit": 100_000}), output) }()
	if <-ended {
		t.Error("the job ended with a result")
	}
	noTemporaries(t, trees.destination)
}

func TestAFileThatVanishesIsNoFailure(t *testing.T) {
	trees := slowly(t, "a", "b")
	started := startEngine(t, arguments{
		parameters: trees.parameters(object{"bandwidth_limit": 1_000_000, "parallel_files": 1, "delete": true}),
		job:        object{"progress_interval": 0.05},
	}, nil)
	started.waitFor(`"progress"`)
	must(t, os.Remove(trees.source+"/a"))
	must(t, os.Remove(trees.source+"/b"))
	done := started.end().expect(true)
	if len(done.warnings()) != 1 || !strings.HasPrefix(done.warnings()[0], "vanished ") {
		t.Errorf("the warnings are %v", done.warnings())
	}
}

func TestAFileThatChangesWhileItIsCopiedIsCopiedAgain(t *testing.T) {
	trees := slowly(t, "file")
	file, err := os.OpenFile(trees.source+"/file", os.O_WRONLY, 0)
	must(t, err)
	defer file.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for number := int64(0); ; number++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				_, _ = file.WriteAt([]byte("changed"), number)
			}
		}
	}()
	done := trees.sync(object{"bandwidth_limit": 4_000_000}).expect(true)
	close(stop)
	<-stopped
	if fmt.Sprint(done.warnings()) != "[source_changed file]" {
		t.Errorf("the warnings are %v", done.warnings())
	}
	if retries := done.terminal["performance"].(object)["retry_count"]; retries != 1.0 {
		t.Errorf("%v retries", retries)
	}
	// The copy may be torn, so that it must not pass for up to date.
	trees.sync(nil).expect(true, "update file file")
	trees.same()
}
