// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/fsys"
)

const (
	largeSize  = 2 << 20
	largeChunk = 64 << 10
)

// withLarge makes a source with a file that comes in many chunks.
func withLarge(t *testing.T) *trees {
	t.Helper()
	trees := newTrees(t)
	content := make([]byte, largeSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	trees.write("source/sub/large", string(content))
	age(t, trees.source)
	return trees
}

// slow makes the job last two seconds.
func slow(more object) object {
	parameters := object{"chunk_size": largeChunk, "parallel_chunks": 2, "bandwidth_limit": largeSize / 2}
	for name, value := range more {
		parameters[name] = value
	}
	return parameters
}

// leftovers gives the names of what is unfinished at the destination.
func (tr *trees) leftovers() []string {
	tr.t.Helper()
	found, err := filepath.Glob(filepath.Join(tr.destination, "sub", ".migration-assistant-*"))
	must(tr.t, err)
	return found
}

// start begins a slow copy of the large file, and waits until some of it is recorded.
func (tr *trees) start(more object) *engine {
	t := tr.t
	t.Helper()
	started := startEngine(t, arguments{parameters: tr.parameters(slow(more)), job: object{"lifeline": true}}, nil)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if left := tr.leftovers(); len(left) == 2 {
			content, err := os.ReadFile(left[0])
			must(t, err)
			if bytes.Count(content, []byte("\n")) > 4 {
				return started
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is recorded")
		}
	}
}

// stop ends a run, and waits for that.
func (tr *trees) stop(started *engine, by func(*engine) error) {
	must(tr.t, by(started))
	_, _ = started.seen.ReadFrom(started.events)
	_ = started.command.Wait()
}

func kill(e *engine) error   { return e.command.Process.Kill() }
func cancel(e *engine) error { return e.input.Close() }

// interrupted has a run stopped while it copies the large file, and gives what is unfinished then: record and content.
func interrupted(t *testing.T) (trees *trees, record, part string) {
	t.Helper()
	trees = withLarge(t)
	trees.stop(trees.start(nil), cancel)
	left := trees.leftovers()
	if len(left) != 2 || !strings.HasSuffix(left[0], ".done") || !strings.HasSuffix(left[1], ".part") {
		t.Fatalf("%v is left", left)
	}
	return trees, left[0], left[1]
}

func TestAFileGoesOnWhereARunWasStopped(t *testing.T) {
	for name, by := range map[string]func(*engine) error{"killed": kill, "cancelled": cancel} {
		t.Run(name, func(t *testing.T) {
			trees := withLarge(t)
			trees.stop(trees.start(nil), by)

			// Another size of chunks: what counts is which bytes are written.
			parameters := trees.parameters(object{"chunk_size": 100_000, "verify": true})
			check := runJob(t, arguments{parameters: parameters, job: object{"dry_run": true}})
			done := runJob(t, arguments{parameters: parameters}).expect(true)
			if resumed := done.statistic("bytes_resumed"); resumed < 4*largeChunk || done.statistic("bytes_copied") != largeSize-resumed {
				t.Errorf("%d bytes were there, and %d copied", resumed, done.statistic("bytes_copied"))
			}
			moved := int(done.terminal["performance"].(object)["bytes_transferred"].(float64))
			if moved != done.statistic("bytes_copied") {
				t.Errorf("%d bytes were moved", moved)
			}
			for _, statistic := range []string{"files_resumed", "bytes_resumed", "bytes_copied"} {
				if check.statistic(statistic) != done.statistic(statistic) {
					t.Errorf("the check says %s is %d, the run %d", statistic, check.statistic(statistic), done.statistic(statistic))
				}
			}
			trees.same()
			noTemporaries(t, trees.destination)
			trees.sync(nil).expect(false)
		})
	}
}

func TestHolesAreKeptWhenAFileGoesOn(t *testing.T) {
	trees := newTrees(t)
	path := trees.write("source/sub/large", strings.Repeat("data", 1<<18))
	must(t, os.Truncate(path, 64<<20))
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte("tail"), 1<<18), 60<<20)
	must(t, err)
	must(t, file.Close())
	age(t, trees.source)
	trees.stop(trees.start(object{"bandwidth_limit": 500_000}), cancel)
	done := trees.sync(object{"chunk_size": largeChunk}).expect(true)
	if done.statistic("files_resumed") != 1 {
		t.Error("the file was copied anew")
	}
	trees.same()
	// The whole copy would show as one without holes.
	if source, copy := isSparse(t, path), isSparse(t, filepath.Join(trees.destination, "sub/large")); source && !copy {
		t.Error("the holes are filled")
	}
}

func isSparse(t *testing.T, path string) bool {
	t.Helper()
	directory, err := fsys.OpenRoot(filepath.Dir(path))
	must(t, err)
	defer directory.Close()
	var stat fsys.Stat
	must(t, directory.Lstat(filepath.Base(path), &stat))
	return stat.IsSparse()
}

func TestWhatIsNoPartOfTheSourceIsCopiedAnew(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, trees *trees, record, part string){
		"the source has another time": func(t *testing.T, trees *trees, _, _ string) {
			setModified(t, trees.source+"/sub/large", 12345)
		},
		"the source was written anew under its old time": func(t *testing.T, trees *trees, _, _ string) {
			path := trees.source + "/sub/large"
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.WriteFile(path, bytes.Repeat([]byte("x"), largeSize), 0o600))
			setModified(t, path, info.ModTime().UnixNano())
		},
		"the source is another file": func(t *testing.T, trees *trees, _, _ string) {
			path := trees.source + "/sub/large"
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Rename(path, path+".old"))
			trees.write("source/sub/large", strings.Repeat("x", largeSize))
			must(t, os.Remove(path+".old"))
			setModified(t, path, info.ModTime().UnixNano())
		},
		"the system was started anew": func(t *testing.T, _ *trees, record, _ string) {
			content, err := os.ReadFile(record)
			must(t, err)
			words := strings.SplitN(string(content), " ", 4)
			words[2] = "00000000-0000-0000-0000-000000000000"
			must(t, os.WriteFile(record, []byte(strings.Join(words, " ")), 0o600))
		},
		"the record is damaged": func(t *testing.T, _ *trees, record, _ string) {
			content, err := os.ReadFile(record)
			must(t, err)
			must(t, os.WriteFile(record, append(content, "12 x\n"...), 0o600))
		},
		"the record tells of more than there is": func(t *testing.T, _ *trees, record, _ string) {
			content, err := os.ReadFile(record)
			must(t, err)
			must(t, os.WriteFile(record, append(content, "0 99999999\n"...), 0o600))
		},
		"the content is shorter": func(t *testing.T, _ *trees, _, part string) { must(t, os.Truncate(part, largeSize/2)) },
		"the content is another file": func(t *testing.T, _ *trees, _, part string) {
			must(t, os.WriteFile(part+".new", make([]byte, largeSize), 0o600))
			must(t, os.Rename(part+".new", part))
		},
	} {
		t.Run(name, func(t *testing.T) {
			trees, record, part := interrupted(t)
			change(t, trees, record, part)
			more := object{"chunk_size": largeChunk}
			check := runJob(t, arguments{parameters: trees.parameters(more), job: object{"dry_run": true}})
			done := trees.sync(more).expect(true)
			if done.statistic("files_resumed") != 0 || done.statistic("bytes_copied") != largeSize || check.statistic("files_resumed") != 0 {
				t.Errorf("%d bytes were taken over", done.statistic("bytes_resumed"))
			}
			trees.same()
			noTemporaries(t, trees.destination)
		})
	}
}

func TestATornLineOfTheRecordDoesNotCount(t *testing.T) {
	trees, record, _ := interrupted(t)
	file, err := os.OpenFile(record, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = file.WriteString("0 2097152")
	must(t, err)
	must(t, file.Close())
	if resumed := trees.sync(object{"chunk_size": largeChunk}).expect(true).statistic("bytes_resumed"); resumed == 0 || resumed == largeSize {
		t.Errorf("%d bytes were taken over", resumed)
	}
	trees.same()
}

func TestUnfinishedFilesThatNobodyWantsAreRemoved(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, trees *trees)
		more   object
	}{
		"the source is gone": {change: func(t *testing.T, trees *trees) { must(t, os.Remove(trees.source+"/sub/large")) }},
		"the destination has it": {change: func(t *testing.T, trees *trees) {
			content, err := os.ReadFile(trees.source + "/sub/large")
			must(t, err)
			info, err := os.Stat(trees.source + "/sub/large")
			must(t, err)
			trees.write("destination/sub/large", string(content))
			setModified(t, trees.destination+"/sub/large", info.ModTime().UnixNano())
		}},
		"it is hidden":       {change: func(*testing.T, *trees) {}, more: object{"filters": []object{{"action": "hide", "regex": ".*large"}}}},
		"nothing is resumed": {change: func(*testing.T, *trees) {}, more: object{"resume": false}},
	} {
		t.Run(name, func(t *testing.T) {
			trees, _, _ := interrupted(t)
			test.change(t, trees)
			more := object{"chunk_size": largeChunk}
			for name, value := range test.more {
				more[name] = value
			}
			done := trees.fourWays(more)
			if done.statistic("files_resumed") != 0 || done.statistic("temporaries_removed") != 2 {
				t.Errorf("the changes are %v", done.changes())
			}
			noTemporaries(t, trees.destination)
		})
	}
}
