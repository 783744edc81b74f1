// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
