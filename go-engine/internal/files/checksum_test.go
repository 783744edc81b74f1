// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// checksum runs a file_checksum on the source of the trees.
func checksum(trees *trees, action string, parameters object) *outcome {
	all := object{"action": action, "source": trees.source, "manifest": trees.manifest(), "parallel_files": 4}
	for name, value := range parameters {
		all[name] = value
	}
	return runJob(trees.t, arguments{operation: "file_checksum", parameters: all})
}

func (t *trees) manifest() string { return filepath.Join(t.root, "manifest") }

func TestAManifestIsWrittenOnceAndVerified(t *testing.T) {
	trees := newTrees(t)
	for number := range 200 {
		trees.write(fmt.Sprintf("source/d%d/file%d", number%5, number), strings.Repeat("x", number*100))
	}
	for _, algorithm := range []string{"sha256", "blake3", "xxh3"} {
		checksum(trees, "create", object{"algorithm": algorithm}).expect(true)
		checksum(trees, "create", object{"algorithm": algorithm}).expect(false)
		done := checksum(trees, "verify", nil).expect(false)
		statistics := done.terminal["statistics"].(object)
		if statistics["matched"] != 200.0 || statistics["algorithm"] != algorithm {
			t.Errorf("%s gives %v", algorithm, statistics)
		}
	}
}

func TestDifferencesFromAManifestAreSorted(t *testing.T) {
	trees := newTrees(t)
	for _, name := range []string{"b", "a", "c/d", "e"} {
		trees.write("source/"+name, name)
	}
	checksum(trees, "create", nil).expect(true)
	trees.write("source/e", "other")
	trees.write("source/b", "other")
	trees.write("source/new", "new")
	must(t, os.Remove(filepath.Join(trees.source, "c", "d")))
	done := checksum(trees, "verify", nil).expectError("verification_failed")
	var found []string
	for _, event := range done.events {
		if event["event"] == "difference" {
			found = append(found, fmt.Sprint(event["difference"], " ", event["path"]))
		}
	}
	if !slices.Equal(found, []string{"missing c/d", "mismatched b", "mismatched e", "unexpected new"}) {
		t.Errorf("the differences are %q", found)
	}
}

func TestAMalformedManifestIsRefused(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/a", "x")
	trees.write("manifest", "rubbish\n")
	done := checksum(trees, "verify", nil).expectError("manifest_invalid")
	if message := done.terminal["message"].(string); !strings.Contains(message, "line 1: ") {
		t.Errorf("the message is %q", message)
	}
}
