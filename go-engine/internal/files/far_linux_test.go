// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// between makes the parameters of a job whose other end is a second process of this program.
func between(t *testing.T, side, source, destination string, more object) object {
	parameters := object{
		"source": source, "destination": destination, "chunk_size": 64 << 10, "parallel_chunks": 3,
		"far": object{"side": side, "command": []string{"env", asEngine + "=serve", executable(t)}, "connections": 3},
	}
	for name, value := range more {
		parameters[name] = value
	}
	return parameters
}

// TestBetweenTwoEngines has every way of the transport at work at once, for the race detector.
func TestBetweenTwoEngines(t *testing.T) {
	for _, side := range []string{"source", "destination"} {
		t.Run(side, func(t *testing.T) {
			source, destination := t.TempDir(), filepath.Join(t.TempDir(), "new")
			makeVariety(t, source)
			for number := range 200 {
				directory := filepath.Join(source, fmt.Sprintf("spread/%d", number))
				must(t, os.MkdirAll(directory, 0o755))
				must(t, os.WriteFile(filepath.Join(directory, "file"), bytes.Repeat([]byte{byte(number)}, 50*number), 0o600))
			}
			job := arguments{parameters: between(t, side, source, destination, object{"verify": true})}
			first := runJob(t, job)
			if first.terminal["event"] != "result" {
				t.Fatal(first.terminal)
			}
			again := runJob(t, arguments{parameters: between(t, side, source, destination, object{"compare": "checksum"})})
			if again.terminal["event"] != "result" || len(again.changes()) > 0 {
				t.Errorf("the second run ends with %v after %v", again.terminal, again.changes())
			}
			here := runJob(t, arguments{parameters: object{"source": source, "destination": destination}})
			if len(here.changes()) > 0 {
				t.Errorf("a run of one engine still changes %v", here.changes())
			}
		})
	}
}

// TestAnEndThatFallsSilentLosesItsLock has a host cut off in the middle: nothing is closed, and nothing comes any more.
func TestAnEndThatFallsSilentLosesItsLock(t *testing.T) {
	source, destination := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "file"), bytes.Repeat([]byte("x"), 4<<20), 0o600))
	parameters := between(t, "destination", source, destination, object{"bandwidth_limit": 100_000})
	far := parameters["far"].(object)
	far["keep_alive_interval"], far["read_timeout"] = 1, 3
	silent := startEngine(t, arguments{parameters: parameters}, nil)
	defer silent.command.Wait()
	defer silent.command.Process.Kill()
	for deadline := time.Now().Add(time.Minute); !isUnfinished(t, destination); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is copied")
		}
	}
	// It keeps its lock as long as it is heard of.
	time.Sleep(5 * time.Second)
	here := arguments{parameters: object{"source": source, "destination": destination}}
	runJob(t, here).expectError("destination_busy")
	must(t, silent.command.Process.Signal(syscall.SIGSTOP))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if done := runJob(t, here); done.terminal["event"] == "result" {
			return
		} else if time.Now().After(deadline) {
			t.Fatal(done.terminal)
		}
	}
}

func isUnfinished(t *testing.T, directory string) bool {
	t.Helper()
	entries, err := os.ReadDir(directory)
	must(t, err)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".migration-assistant-") {
			return true
		}
	}
	return false
}

func TestAJobWaitsForTheLockOfAnother(t *testing.T) {
	source, destination := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "file"), bytes.Repeat([]byte("x"), 1<<20), 0o600))
	first := startEngine(t, arguments{
		parameters: object{"source": source, "destination": destination, "bandwidth_limit": 500_000},
		job:        object{"progress_interval": 0.05},
	}, nil)
	first.waitFor(`"progress"`)
	parameters := between(t, "source", source, destination, nil)
	runJob(t, arguments{parameters: parameters}).expectError("destination_busy")
	parameters["far"].(object)["lock_timeout"] = 60
	runJob(t, arguments{parameters: parameters}).expect(false)
	first.end().expect(true)
}
