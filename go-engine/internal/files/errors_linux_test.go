// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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

func TestAJobEndsBySignals(t *testing.T) {
	for _, signal := range []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			endEarly(t, func(e *engine) error { return e.command.Process.Signal(signal) })
		})
	}
}
