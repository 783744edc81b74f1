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

// newFiles are enough that some are swapped between their listing and their opening.
const newFiles = 64

// swap exchanges two names again and again until the function that it returns is called, which leaves them as they
// were.
func swap(t *testing.T, one, other string) (stop func()) {
	t.Helper()
	return swapAll(t, [][2]string{{one, other}})
}

// swapEach exchanges the files of two directories, one after the other.
func swapEach(t *testing.T, one, other string) (stop func()) {
	t.Helper()
	pairs := [][2]string{}
	for number := range newFiles {
		pairs = append(pairs, [2]string{fmt.Sprintf("%s/%d", one, number), fmt.Sprintf("%s/%d", other, number)})
	}
	return swapAll(t, pairs)
}

func swapAll(t *testing.T, pairs [][2]string) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	exchange := func() {
		for _, pair := range pairs {
			_ = unix.Renameat2(unix.AT_FDCWD, pair[0], unix.AT_FDCWD, pair[1], unix.RENAME_EXCHANGE)
		}
	}
	go func() {
		defer close(ended)
		for {
			exchange()
			exchange()
			select {
			case <-end:
				return
			default:
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
	must(t, os.Mkdir(trees.root+"/to-new", 0o755))
	for number := range newFiles {
		must(t, os.Symlink(trees.root+"/outside-source/file", fmt.Sprintf("%s/to-new/%d", trees.root, number)))
	}
	must(t, os.Symlink(trees.root+"/outside-destination/file", trees.root+"/to-destination-file"))
	outside := describe(t, trees.root+"/outside-destination")
	secrets := describe(t, trees.root+"/outside-source")

	for round := range 25 {
		prepareRound(trees, round)
		stops := []func(){
			swap(t, trees.source+"/dir", trees.root+"/to-source"),
			swap(t, trees.destination+"/dir", trees.root+"/to-destination"),
			swap(t, trees.source+"/file", trees.root+"/to-file"),
			swapEach(t, trees.source+"/new", trees.root+"/to-new"),
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
		for path, described := range describe(t, trees.destination) {
			if strings.Contains(described, "SECRET") {
				t.Fatalf("%s holds what is outside the source", path)
			}
		}
	}
	if found := differing(outside, describe(t, trees.root+"/outside-destination")); len(found) > 0 {
		t.Errorf("outside the destination changed %v", found)
	}
	if found := differing(secrets, describe(t, trees.root+"/outside-source")); len(found) > 0 {
		t.Errorf("outside the source changed %v", found)
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
	for number := range newFiles {
		trees.write(fmt.Sprintf("source/new/%d", number), "inside")
	}
	must(t, os.RemoveAll(trees.destination+"/new"))
}
