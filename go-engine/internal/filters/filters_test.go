// SPDX-License-Identifier: GPL-3.0-or-later

package filters_test

import (
	"strings"
	"testing"

	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/wire"
)

func read(t *testing.T, rules string) (*filters.List, error) {
	t.Helper()
	job, err := wire.DecodeJob([]byte(`{"protocol":1,"id":"a","operation":"x","parameters":{"filters":` + rules + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	list := filters.Read(job.Parameters, "filters")
	return list, job.Parameters.Err()
}

func TestTheFirstMatchDecides(t *testing.T) {
	list, err := read(t, `[
		{"action":"include","regex":"a/keep|b"},
		{"action":"exclude","regex":"a/.*"},
		{"action":"exclude","regex":"dir","directories_only":true,"rule":"- dir/"},
		{"action":"hide","regex":"hidden"},
		{"action":"protect","regex":"kept"},
		{"action":"show","regex":"sh.*"},{"action":"risk","regex":"ri.*"},
		{"action":"hide","regex":"s?r?h?i?"},{"action":"protect","regex":"s?r?h?i?"}
	]`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path                    string
		directory, hid, protect bool
	}{
		{"a/keep", false, false, false}, {"a/other", false, true, true}, {"b", false, false, false},
		{"xb", false, false, false}, {"bx", false, false, false}, {"dir", true, true, true}, {"dir", false, false, false},
		{"hidden", false, true, false}, {"kept", false, false, true}, {"sh", false, false, true}, {"ri", false, true, false},
	} {
		if got := list.Hides(test.path, test.directory); got != test.hid {
			t.Errorf("hides %s: %v", test.path, got)
		}
		if got := list.Protects(test.path, test.directory); got != test.protect {
			t.Errorf("protects %s: %v", test.path, got)
		}
	}
}

func TestWithoutRulesNothingIsLeftOut(t *testing.T) {
	list, err := read(t, `[]`)
	if err != nil || list.Hides("a", false) || list.Protects("a", true) {
		t.Errorf("%v, %v", list, err)
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	for rules, want := range map[string]string{
		`[{"action":"exclude","regex":"("}]`:        "filters[0].regex is no regular expression",
		`[{"action":"exclude","regex":"(?=x)"}]`:    "filters[0].regex is no regular expression",
		`[{"regex":"x"}]`:                           "filters[0] lacks the key action",
		`[{"action":"exclude"}]`:                    "filters[0] lacks the key regex",
		`[{"action":"merge","regex":"x"}]`:          "filters[0].action must be one of",
		`[{"action":"hide","regex":"x","more":""}]`: "filters[0] has the unknown key more",
	} {
		if _, err := read(t, rules); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", rules, err)
		}
	}
}
