// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"migration.assistant/engine/internal/wire"
)

func parametersOf(t *testing.T, changes map[string]any) (*parameters, error) {
	t.Helper()
	content := map[string]any{
		"source":                map[string]any{"engine": "sqlite", "database": "/a"},
		"destination":           map[string]any{"engine": "sqlite", "database": "/b"},
		"strategy":              "build",
		"destination_exists":    false,
		"digest":                "x",
		"source_schema_version": 1,
		"partial":               "/p",
		"record_path":           "/r",
		"tables":                []any{},
	}
	maps.Copy(content, changes)
	line, err := json.Marshal(map[string]any{
		"protocol": wire.Protocol, "id": "x", "operation": "database_migrate", "parameters": content,
	})
	if err != nil {
		t.Fatal(err)
	}
	job, err := wire.DecodeJob(line)
	if err != nil {
		t.Fatal(err)
	}
	return readParameters(job.Parameters)
}

func TestDefaultsOfParameters(t *testing.T) {
	p, err := parametersOf(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.verify != "checksum" || p.chunkRows != 1000000 || !p.resume || p.journalMode != "delete" || p.record != nil {
		t.Errorf("unexpected defaults: %+v", p)
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	table := map[string]any{"name": "t", "action": "create", "create": []string{"CREATE TABLE t (a)"}}
	for part, changes := range map[string]map[string]any{
		"surprise":    {"surprise": 1},
		"strategy":    {"strategy": "guess"},
		"chunk_rows":  {"chunk_rows": 0},
		"settings":    {"settings": []string{"journal_mode"}},
		"record":      {"record": 1},
		"engine":      {"source": map[string]any{"engine": "oracle", "database": "/a"}},
		"tables[0]":   {"tables": []any{map[string]any{"name": "t", "action": "create"}}},
		"tables[1]":   {"tables": []any{table, map[string]any{"action": "guess"}}},
		"objects[0]":  {"objects": []any{map[string]any{"kind": "table"}}},
		"removed[0]":  {"removed": []any{map[string]any{"kind": "index", "name": "i"}}},
		"digest":      {"digest": ""},
		"destination": {"destination": "/b"},
	} {
		if _, err := parametersOf(t, changes); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestURIsKeepOddNames(t *testing.T) {
	if got := uri("/a b/c%20?d#e\xff", "ro"); got != "file:/a%20b/c%2520%3Fd%23e%FF?mode=ro" {
		t.Error(got)
	}
}
