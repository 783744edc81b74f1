// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"fmt"
	"strings"
	"testing"
)

func text(value string) bound { return &value }

func TestRangesNameTheirBounds(t *testing.T) {
	r := &keyRange{above: "(a, b) > ({key})", upto: "(a, b) <= ({key})"}
	for want, part := range map[string]chunk{
		"TRUE":                    {},
		"(a, b) > ('1', '{key}')": {low: text("'1', '{key}'")},
		"(a, b) <= ('9', '')":     {high: text("'9', ''")},
		"(a, b) > ('1', '2') AND (a, b) <= ('3')": {low: text("'1', '2'"), high: text("'3'")},
	} {
		if got := r.condition(part); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	if got := inRange("WHERE {range}", nil, chunk{low: text("1")}); got != "WHERE TRUE" {
		t.Error(got)
	}
}

func TestValuesAreNotLookedAtAgain(t *testing.T) {
	got := ofKeys("DELETE WHERE a IN ({keys})", []string{"'{keys}'", "'{range}'"})
	if got != "DELETE WHERE a IN ('{keys}', '{range}')" {
		t.Error(got)
	}
}

func TestRecordsOfChunks(t *testing.T) {
	table := &table{specification: specification{
		split: "VALUES ({number}, {low}, {high})", done: "SET rows = {rows} WHERE number = {number}",
		next: "WHERE {range} OFFSET {rows} - 1", rangeSource: &keyRange{above: "a > {key}", upto: "a <= {key}"},
	}}
	quote := func(text string) string { return "<" + text + ">" }
	for want, got := range map[string]string{
		"VALUES (3, NULL, <'17'>)":       table.recordOf(chunk{number: 3, high: text("'17'")}, quote),
		"VALUES (4, <{high}>, NULL)":     table.recordOf(chunk{number: 4, low: text("{high}")}, quote),
		"SET rows = 12 WHERE number = 4": table.doneOf(chunk{number: 4}, 12),
		"WHERE TRUE OFFSET 500 - 1":      table.nextBound(nil, 500),
		"WHERE a > '17' OFFSET 500 - 1":  table.nextBound(text("'17'"), 500),
	} {
		if got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}

func TestBatches(t *testing.T) {
	for count, want := range map[int]string{0: "", 1: "1", 1000: "1000", 1001: "1000 1", 2500: "1000 1000 500"} {
		var sizes []string
		for _, batch := range batches(make([]string, count)) {
			sizes = append(sizes, fmt.Sprint(len(batch)))
		}
		if got := strings.Join(sizes, " "); got != want {
			t.Errorf("%d keys: %s instead of %s", count, got, want)
		}
	}
}
