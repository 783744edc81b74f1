// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"os"
	"testing"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
)

// A job that is cancelled still reads and closes what it has open; another descriptor must not take its number.
func TestACancelledJobKeepsItsSourceOpen(t *testing.T) {
	directory, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(directory)
	parameters := &syncParameters{source: directory}
	source, err := openSource(context.Background(), &operations.Session{}, parameters)
	if err != nil {
		t.Fatal(err)
	}
	source.leave()
	var stat fsys.Stat
	if err := source.root.Stat(&stat); err != nil {
		t.Error(err)
	}
	source.close()
}
