// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/wire"
)

func parametersOf(t *testing.T, changes map[string]any) (*parameters, error) {
	t.Helper()
	end := map[string]any{"engine": "postgresql", "host": "h", "port": 5432, "user": "u", "database": "d"}
	content := map[string]any{"source": end, "destination": end, "tables": []any{}}
	maps.Copy(content, changes)
	line, err := json.Marshal(map[string]any{
		"protocol": wire.Protocol, "id": "x", "operation": "table_copy", "parameters": content,
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
	p, err := parametersOf(t, map[string]any{"snapshot": map[string]any{"begin": []string{"BEGIN"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := p.source
	if p.workers != 4 || p.chunkRows != 100000 || p.retries != 5 || p.verify != verifyChecksum || p.renewable || len(p.begin) != 1 ||
		s.ConnectTimeout != 30*time.Second || s.TLS.Mode != "prefer" || s.ApplicationName != "migration.assistant" || s.HasPassword {
		t.Errorf("unexpected defaults: %+v", p)
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	table := func(changes map[string]any) map[string]any {
		content := map[string]any{
			"name": "t", "action": "load", "count": "x", "count_written": "x", "read": "x", "load": "x",
			"hash_source": "x", "hash_destination": "x",
		}
		maps.Copy(content, changes)
		return map[string]any{"tables": []any{content}}
	}
	step := map[string]any{"kind": "index", "name": "i", "sql": []string{}}
	for part, changes := range map[string]map[string]any{
		"surprise":            {"surprise": 1},
		"workers":             {"workers": 0},
		"verify":              {"verify": "hope"},
		"source":              {"source": map[string]any{"engine": "postgresql"}},
		"tables[0].action":    table(map[string]any{"action": "guess"}),
		"tables[0].read":      table(map[string]any{"read": ""}),
		"range_source lacks":  table(map[string]any{"range_source": map[string]any{"above": "x"}}),
		"tables[0].rows":      table(map[string]any{"rows": -1}),
		"finish[1] must be":   {"finish": []any{[]any{step}, step}},
		"finish[0][0].kind":   {"finish": []any{[]any{map[string]any{"kind": `a"b`, "name": "", "sql": []string{}}}}},
		"finish[0][0] has":    table(map[string]any{"finish": []any{[]any{map[string]any{"kind": "a", "name": "", "sql": []string{}, "x": 1}}}}),
		"prepare[0] lacks":    {"prepare": []any{map[string]any{"kind": "index", "name": "i"}}},
		"tables[0].count_wri": table(map[string]any{"count_written": ""}),
	} {
		if _, err := parametersOf(t, changes); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}
