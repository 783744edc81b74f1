// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"encoding/json"
	"math"

	"migration.assistant/engine/internal/wire"
)

type table struct {
	name           string
	action         string
	create, drop   []string
	count          string // empty for a virtual table, which has no rows of its own
	countWritten   string
	all, allIf     string // copies all rows at once, if allIf, where there is one, gives 1
	first, next    string // next is empty if all rows are copied at once
	locate         []string
	compare        []string
	differences    string
	remove, insert string
	sequenceValues string
	sequence       []string
	refusal        string
}

type object struct {
	kind, name, table, action string
	create, drop              string
}

type removal struct {
	kind, name string
	sql        []string
}

type parameters struct {
	source, destination      string
	build                    bool
	replace                  bool
	destinationExists        bool
	verify, integrity        string
	chunkRows                int64
	resume                   bool
	digest                   string
	sourceSchemaVersion      int64
	destinationSchemaVersion int64
	journalMode              string
	prepare                  []string
	partial                  string
	tables                   []table
	objects                  []object
	removed                  []removal
	touchSchema              []string
	settings                 []string
	settingsRefusal          string
	recordPath               string
	record                   map[string]any // nil: no record is wanted
}

func readParameters(o *wire.Object) (*parameters, error) {
	p := &parameters{
		source:              readConnection(o.RequiredObject("source")),
		destination:         readConnection(o.RequiredObject("destination")),
		build:               requiredChoice(o, "strategy", "build", "compare") == "build",
		replace:             o.Choice("if_exists", "fail", "sync", "replace") == "replace",
		destinationExists:   o.Required("destination_exists") && o.Bool("destination_exists", false),
		verify:              o.Choice("verify", "checksum", "none", "counts", "full"),
		integrity:           o.Choice("integrity", "quick", "none", "full"),
		chunkRows:           o.Integer("chunk_rows", 1000000, 1, math.MaxInt64),
		resume:              o.Bool("resume", true),
		digest:              string(o.RequiredPath("digest")),
		sourceSchemaVersion: o.Integer("source_schema_version", 0, math.MinInt32, math.MaxInt64),
		journalMode:         o.Choice("journal_mode", "delete", "wal"),
		prepare:             texts(o, "prepare"),
		partial:             string(o.RequiredPath("partial")),
		touchSchema:         texts(o, "touch_schema"),
		settings:            texts(o, "settings"),
		settingsRefusal:     optionalText(o, "settings_refusal"),
		recordPath:          string(o.RequiredPath("record_path")),
	}
	o.Required("source_schema_version")
	p.destinationSchemaVersion, _ = o.OptionalInteger("destination_schema_version", math.MinInt32)
	if data := o.Raw("record"); len(data) > 0 && json.Unmarshal(data, &p.record) != nil {
		o.Report("record", "must be an object")
	}
	for _, name := range p.settings {
		if name != "user_version" && name != "application_id" {
			o.Report("settings", "must be one of user_version, application_id")
		}
	}
	o.Required("tables")
	for _, item := range o.Objects("tables") {
		p.tables = append(p.tables, readTable(item))
	}
	for _, item := range o.Objects("objects") {
		p.objects = append(p.objects, object{
			kind:   requiredChoice(item, "kind", "index", "view", "trigger"),
			name:   required(item, "name"),
			table:  required(item, "table"),
			action: requiredChoice(item, "action", "create", "update", "recreate", "keep"),
			create: string(item.RequiredPath("create")),
			drop:   string(item.RequiredPath("drop")),
		})
	}
	for _, item := range o.Objects("removed") {
		item.Required("sql")
		p.removed = append(p.removed, removal{
			kind: requiredChoice(item, "kind", "table", "index", "view", "trigger"),
			name: required(item, "name"),
			sql:  texts(item, "sql"),
		})
	}
	return p, o.Err()
}

func readConnection(o *wire.Object) string {
	requiredChoice(o, "engine", "sqlite")
	return string(o.RequiredPath("database"))
}

func readTable(o *wire.Object) table {
	o.Required("create")
	return table{
		name:           required(o, "name"),
		action:         requiredChoice(o, "action", "create", "compare", "rebuild", "keep"),
		create:         texts(o, "create"),
		drop:           texts(o, "drop"),
		count:          optionalText(o, "count"),
		countWritten:   optionalText(o, "count_written"),
		all:            optionalText(o, "all"),
		allIf:          optionalText(o, "all_if"),
		first:          optionalText(o, "first"),
		next:           optionalText(o, "next"),
		locate:         texts(o, "locate"),
		compare:        texts(o, "compare"),
		differences:    optionalText(o, "differences"),
		remove:         optionalText(o, "delete"),
		insert:         optionalText(o, "insert"),
		sequenceValues: optionalText(o, "sequence_values"),
		sequence:       texts(o, "sequence"),
		refusal:        optionalText(o, "refusal"),
	}
}

// required reads a string that must be there; unlike a path it may be empty, as the name of a table may.
func required(o *wire.Object, name string) string {
	o.Required(name)
	return string(o.Path(name, ""))
}

func requiredChoice(o *wire.Object, name string, allowed ...string) string {
	o.Required(name)
	return o.Choice(name, allowed...)
}

// optionalText reads a string or null.
func optionalText(o *wire.Object, name string) string {
	if string(o.Raw(name)) == "null" {
		return ""
	}
	return string(o.Path(name, ""))
}

func texts(o *wire.Object, name string) []string {
	var list []string
	for _, text := range o.Paths(name) {
		list = append(list, string(text))
	}
	return list
}
