// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// swap exchanges two names again and again until the function that it returns is called, which leaves them as they
// were.
func swap(t *testing.T, one, other string) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	exchange := func() error {
		return unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
	}
	must(t, exchange())
	go func() {
		defer close(ended)
		for swapped := true; ; swapped = !swapped {
			select {
			case <-end:
				if swapped {
					_ = exchange()
				}
				return
			default:
				_ = exchange()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// TestSymlinksSwappedInNeverLeadOutside lets a user replace directories and files by symbolic links while root copies
// his tree: nothing outside may be read into the destination, written or deleted.
func TestSymlinksSwappedInNeverLeadOutside(t *testing.T) {
	trees := newTrees(t)
	for number := range 20 {
		for _, directory := range []string{"dir", "dir/sub"} {
			trees.write(fmt.Sprintf("outside-source/%s/%d", strings.TrimPrefix(directory, "dir"), number), "SECRET")
			trees.write(fmt.Sprintf("outside-destination/%s/%d", strings.TrimPrefix(directory, "dir"), number), "OUTSIDE")
			trees.write(fmt.Sprintf("outside-destination/%s/extra-%d", strings.TrimPrefix(directory, "dir"), number), "OUTSIDE")
		}
	}
	trees.write("outside-source/file", "SECRET")
	trees.write("outside-destination/file", "OUTSIDE")
	must(t, os.Symlink(trees.root+"/outside-source", trees.root+"/to-source"))
	must(t, os.Symlink(trees.root+"/outside-destination", trees.root+"/to-destination"))
	must(t, os.Symlink(trees.root+"/outside-source/file", trees.root+"/to-file"))
	must(t, os.Symlink(trees.root+"/outside-destination/file", trees.root+"/to-destination-file"))
	outside := describe(t, trees.root+"/outside-destination")
	secrets := describe(t, trees.root+"/outside-source")

	for round := range 25 {
		prepareRound(trees, round)
		stops := []func(){
			swap(t, trees.source+"/dir", trees.root+"/to-source"),
			swap(t, trees.destination+"/dir", trees.root+"/to-destination"),
			swap(t, trees.source+"/file", trees.root+"/to-file"),
			swap(t, trees.destination+"/file", trees.root+"/to-destination-file"),
		}
		compare := []string{"quick", "checksum"}[round%2]
		done := trees.sync(object{"delete": true, "compare": compare, "verify": round%3 == 0})
		for _, stop := range stops {
			stop()
		}
		if done.terminal["code"] != nil && done.terminal["code"] != "partial_failure" {
			t.Fatalf("the terminal event is %v", done.terminal)
		}
	}
	if found := differing(outside, describe(t, trees.root+"/outside-destination")); len(found) > 0 {
		t.Errorf("outside the destination changed %v", found)
	}
	if found := differing(secrets, describe(t, trees.root+"/outside-source")); len(found) > 0 {
		t.Errorf("outside the source changed %v", found)
	}
	for path, described := range describe(t, trees.destination) {
		if strings.Contains(described, "SECRET") {
			t.Errorf("%s holds what is outside the source", path)
		}
	}
}

// prepareRound gives the sync everything to do: files to create, update, link, delete, and metadata to set.
func prepareRound(trees *trees, round int) {
	t := trees.t
	t.Helper()
	must(t, os.RemoveAll(trees.destination+"/dir"))
	for number := range 20 {
		content := strings.Repeat("inside", number*round%1000)
		trees.write(fmt.Sprintf("source/dir/%d", number), content)
		trees.write(fmt.Sprintf("source/dir/sub/%d", number), content)
		link := filepath.Join(trees.source, fmt.Sprintf("dir/linked-%d", number))
		_ = os.Remove(link)
		must(t, os.Link(fmt.Sprintf("%s/dir/sub/%d", trees.source, number), link))
		if number%2 == 0 {
			trees.write(fmt.Sprintf("destination/dir/%d", number), content)
			must(t, os.Chmod(fmt.Sprintf("%s/dir/%d", trees.destination, number), 0o600))
		}
		trees.write(fmt.Sprintf("destination/dir/extra-%d", number), "to delete")
		trees.write(fmt.Sprintf("destination/dir/sub/extra-%d", number), "to delete")
		trees.write(fmt.Sprintf("destination/dir/gone/extra-%d", number), "to delete")
	}
	trees.write("source/file", fmt.Sprint("inside", round))
	_ = os.Remove(trees.destination + "/file")
	trees.write("destination/file", "old")
}
