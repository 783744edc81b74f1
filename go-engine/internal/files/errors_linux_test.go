// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBadPathsAreRefusedBeforeAnything(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/sub/file", "x")
	trees.write("file", "x")
	must(t, os.Symlink("source", filepath.Join(trees.root, "link")))
	must(t, os.Symlink("nowhere", filepath.Join(trees.root, "dangling")))
	for _, test := range []struct{ source, destination, code, word string }{
		{"none", "destination", "source_missing", "none"},
		{"file/below", "destination", "source_missing", "below"},
		{"file", "destination", "source_not_directory", "file"},
		{"source", "file", "destination_not_directory", "file"},
		{"source", "file/below", "destination_not_directory", "below"},
		{"source", "dangling", "destination_not_directory", "dangling"},
		{"source", "source", "paths_overlap", "inside"},
		{"source", "source/new/deep", "paths_overlap", "inside"},
		{"source", "link/new", "paths_overlap", "inside"},
		{"link", "source", "paths_overlap", "inside"},
		{"source/sub", "source", "paths_overlap", "inside"},
		{"link/sub", ".", "paths_overlap", "inside"},
	} {
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
	trees := newTrees(t)
	trees.write("source/file", "x")
	must(t, os.Mkdir(trees.destination, 0o755))
	holder, err := os.Open(trees.destination)
	must(t, err)
	defer holder.Close()
	must(t, unix.Flock(int(holder.Fd()), unix.LOCK_EX))
	trees.sync(nil).expectError("destination_busy")
	runJob(t, arguments{parameters: trees.parameters(nil), job: object{"dry_run": true}}).expect(true)
	must(t, unix.Flock(int(holder.Fd()), unix.LOCK_UN))
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

func TestAFailureKeepsExtrasFromDeletion(t *testing.T) {
	needRoot(t)
	trees := newTrees(t)
	secret := trees.write("source/secret", "not for nobody")
	must(t, os.Chmod(secret, 0o600))
	must(t, os.Mkdir(filepath.Join(trees.source, "closed"), 0o700))
	trees.write("source/readable", "x")
	trees.write("destination/extra", "x")
	must(t, os.Chown(trees.destination, nobody, nobody))
	openUp(t, trees.source)
	for _, dryRun := range []bool{true, false} {
		done := runAsNobody(t, arguments{parameters: trees.parameters(object{"delete": true}), job: object{"dry_run": dryRun}})
		done.expectError("partial_failure")
		if message := done.terminal["message"].(string); !strings.HasPrefix(message, "2 entries failed; the first: closed: unable to") ||
			!strings.HasSuffix(message, ": Permission denied") {
			t.Errorf("the message is %q", message)
		}
		warnings := strings.Join(done.warnings(), ",")
		if !strings.Contains(warnings, "io_error closed,io_error secret") || !strings.Contains(warnings, "owner_not_preserved") {
			t.Errorf("the warnings are %v", warnings)
		}
		if !slices.Contains(done.changes(), "create file readable") || done.statistic("deleted") != 0 {
			t.Errorf("the changes are %v", done.changes())
		}
	}
	if _, err := os.Stat(filepath.Join(trees.destination, "extra")); err != nil {
		t.Error(err)
	}
}

func TestDestinationsThatCannotBeWritten(t *testing.T) {
	needRoot(t)
	trees := newTrees(t)
	openUp(t, trees.source)
	must(t, os.Mkdir(trees.destination, 0o755))
	runAsNobody(t, arguments{parameters: trees.parameters(nil)}).expectError("destination_unwritable")
	runAsNobody(t, arguments{parameters: object{"source": trees.source, "destination": trees.root + "/new/deep"}}).
		expectError("destination_unwritable")
	must(t, os.Chmod(trees.source, 0o700))
	runAsNobody(t, arguments{parameters: trees.parameters(nil)}).expectError("io_error")
}

func TestAnOwnerOpensHisClosedDirectoriesForTheWork(t *testing.T) {
	needRoot(t)
	trees := newTrees(t)
	trees.write("source/closed/new", "x")
	trees.write("source/closed/linked", "x")
	must(t, os.Link(trees.source+"/closed/linked", trees.source+"/closed/too"))
	trees.write("source/closed/sub/file", "x")
	for _, name := range []string{"file", "empty/file"} {
		trees.write("destination/closed/extra/"+name, "x")
	}
	trees.write("destination/closed/sub/other", "x")
	for _, path := range []string{"source/closed/sub", "source/closed", "destination/closed/extra/empty",
		"destination/closed/extra", "destination/closed/sub", "destination/closed"} {
		must(t, os.Chmod(filepath.Join(trees.root, path), 0o500))
	}
	must(t, os.Chmod(trees.destination+"/closed/sub", 0o000))
	for path := range describe(t, trees.root) {
		must(t, os.Lchown(filepath.Join(trees.root, path), nobody, nobody))
	}
	openUp(t, trees.source)
	age(t, trees.root)
	must(t, os.Chmod(trees.destination, 0o755))
	runAsNobody(t, arguments{parameters: trees.parameters(object{"delete": true})}).expect(true)
	trees.same()
	runAsNobody(t, arguments{parameters: trees.parameters(object{"delete": true})}).expect(false)
}

func TestAFullDiskEndsTheJob(t *testing.T) {
	needRoot(t)
	trees := newTrees(t)
	must(t, os.Mkdir(trees.destination, 0o755))
	if err := unix.Mount("none", trees.destination, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("unable to mount: %v", err)
	}
	defer func() { must(t, unix.Unmount(trees.destination, unix.MNT_DETACH)) }()
	for number := range 40 {
		trees.write(fmt.Sprintf("source/%d", number), strings.Repeat("x", 100_000))
	}
	done := trees.sync(nil).expectError("disk_full")
	if done.terminal["resumable"] != true || done.terminal["changed"] != true {
		t.Errorf("the terminal event is %v", done.terminal)
	}
	noTemporaries(t, trees.destination)
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

func TestAJobEndsWhenItIsNoLongerWanted(t *testing.T) {
	for name, end := range map[string]func(*engine) error{
		"lifeline": func(e *engine) error { return e.input.Close() },
		"SIGTERM":  func(e *engine) error { return e.command.Process.Signal(syscall.SIGTERM) },
		"SIGINT":   func(e *engine) error { return e.command.Process.Signal(syscall.SIGINT) },
		"SIGHUP":   func(e *engine) error { return e.command.Process.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
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
		})
	}
}

func TestAJobEndsAtItsTimeLimit(t *testing.T) {
	trees := slowly(t, "a")
	for _, more := range []object{{}, {"parallel_chunks": 2, "chunk_size": 65536}} {
		more["bandwidth_limit"] = 100_000
		done := runJob(t, arguments{parameters: trees.parameters(more), job: object{"timeout": 0.2, "sample_interval": 0.05}})
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
		parameters: trees.parameters(object{"bandwidth_limit": 2_000_000, "parallel_files": 1, "delete": true}),
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
