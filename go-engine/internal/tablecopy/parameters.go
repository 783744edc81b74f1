// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"math"
	"regexp"
	"time"

	"migration.assistant/engine/internal/server"
	"migration.assistant/engine/internal/wire"
)

// What is done with a table.
const (
	actionLoad = "load"
	actionSync = "sync"
	actionKeep = "keep"
)

// How much is verified.
const (
	verifyNone     = "none"
	verifyCounts   = "counts"
	verifyChecksum = "checksum"
	verifyFull     = "full"
)

type parameters struct {
	source, destination server.Server
	begin               []string // on each source connection, which is in a read transaction then
	renewable           bool     // a source connection can be made anew into the same snapshot
	workers             int
	chunkRows           int64
	retries             int
	verify              string
	prepare             []step
	tables              []*table
	finish              [][]step
	refresh             [][]step // if any row was written
	resume              bool     // otherwise a step clears the records
	proven              struct{ tables, rows int64 }
}

// isProven tells whether there is nothing to do, not even to look.
func (p *parameters) isProven() bool {
	return p.proven.tables > 0 && len(p.prepare)+len(p.tables)+len(p.finish) == 0
}

var kinds = regexp.MustCompile(`^[a-z_]+$`)

// step is told as one change, unless action is none.
type step struct {
	action, kind, name string
	sql                []string
	transaction        bool
}

// keyRange has the conditions for the bounds of a chunk, as templates with {key}.
type keyRange struct{ above, upto string }

// specification is a table as the plan has it; templates are empty where the plan has none.
type specification struct {
	name, action                       string
	rows, bytes                        int64 // estimates; 0: unknown
	count, countWritten                string
	read, load                         string
	rangeSource, rangeDestination      *keyRange
	next                               string
	bounds                             []string
	chunks, split, done                string
	complete                           []string
	finish                             [][]step
	hashSource, hashDestination        string
	digestsSource, digestsDestination  string
	readKeys, deleteKeys, deleteRange  string
	replace, beforeRepair, afterRepair []string
	unhook                             []step   // before the first repair
	rehook                             [][]step // if that was done, when all tables are
	refusal                            string
}

func readParameters(o *wire.Object) (*parameters, error) {
	p := &parameters{
		source:      readServer(o.RequiredObject("source")),
		destination: readServer(o.RequiredObject("destination")),
		workers:     int(o.Integer("workers", 4, 1, 128)),
		chunkRows:   o.Integer("chunk_rows", 100000, 1, math.MaxInt64),
		retries:     int(o.Integer("retries", 5, 0, 100)),
		verify:      o.Choice("verify", verifyChecksum, verifyNone, verifyCounts, verifyFull),
		prepare:     readSteps(o.Objects("prepare")),
		finish:      readStages(o, "finish"),
		refresh:     readStages(o, "refresh"),
		resume:      o.Bool("resume", true),
	}
	proven := o.Object("proven")
	p.proven.tables, p.proven.rows = proven.Integer("tables", 0, 0, math.MaxInt64), proven.Integer("rows", 0, 0, math.MaxInt64)
	snapshot := o.Object("snapshot")
	p.begin, p.renewable = statements(snapshot, "begin"), snapshot.Bool("renewable", false)
	o.Required("tables")
	for _, item := range o.Objects("tables") {
		p.tables = append(p.tables, &table{specification: readTable(item)})
	}
	return p, o.Err()
}

func readServer(o *wire.Object) server.Server {
	o.Required("port")
	tls := o.Object("tls")
	s := server.Server{
		Engine:   string(o.RequiredPath("engine")),
		Host:     string(o.RequiredPath("host")),
		Port:     int(o.Integer("port", 1, 1, 65535)),
		User:     string(o.RequiredPath("user")),
		Password: optionalText(o, "password"),
		Database: string(o.RequiredPath("database")),
		TLS: server.TLS{
			Mode:            tls.Choice("mode", "prefer", "disable", "allow", "require", "verify-ca", "verify-full"),
			RootCertificate: optionalText(tls, "root_certificate"),
			Certificate:     optionalText(tls, "certificate"),
			Key:             optionalText(tls, "key"),
		},
		ApplicationName: string(o.Path("application_name", "migration.assistant")),
		ConnectTimeout:  time.Duration(o.Number("connect_timeout", 30, false) * float64(time.Second)),
		Session:         statements(o, "session"),
	}
	s.HasPassword = o.Has("password") && string(o.Raw("password")) != "null"
	return s
}

func readTable(o *wire.Object) specification {
	o.Required("action")
	return specification{
		name:               string(o.RequiredPath("name")),
		action:             o.Choice("action", actionLoad, actionSync, actionKeep),
		rows:               o.Integer("rows", 0, 0, math.MaxInt64),
		bytes:              o.Integer("bytes", 0, 0, math.MaxInt64),
		count:              string(o.RequiredPath("count")),
		countWritten:       string(o.RequiredPath("count_written")),
		read:               string(o.RequiredPath("read")),
		load:               string(o.RequiredPath("load")),
		rangeSource:        readRange(o, "range_source"),
		rangeDestination:   readRange(o, "range_destination"),
		next:               optionalText(o, "next"),
		bounds:             statements(o, "bounds"),
		chunks:             optionalText(o, "chunks"),
		split:              optionalText(o, "split"),
		done:               optionalText(o, "done"),
		complete:           statements(o, "complete"),
		finish:             readStages(o, "finish"),
		hashSource:         string(o.RequiredPath("hash_source")),
		hashDestination:    string(o.RequiredPath("hash_destination")),
		digestsSource:      optionalText(o, "digests_source"),
		digestsDestination: optionalText(o, "digests_destination"),
		readKeys:           optionalText(o, "read_keys"),
		deleteKeys:         optionalText(o, "delete_keys"),
		deleteRange:        optionalText(o, "delete_range"),
		replace:            statements(o, "replace"),
		beforeRepair:       statements(o, "before_repair"),
		afterRepair:        statements(o, "after_repair"),
		unhook:             readSteps(o.Objects("unhook")),
		rehook:             readStages(o, "rehook"),
		refusal:            optionalText(o, "refusal"),
	}
}

func readRange(o *wire.Object, name string) *keyRange {
	if data := o.Raw(name); data == nil || string(data) == "null" {
		return nil
	}
	item := o.Object(name)
	return &keyRange{above: string(item.RequiredPath("above")), upto: string(item.RequiredPath("upto"))}
}

func readStages(o *wire.Object, name string) [][]step {
	var stages [][]step
	for _, stage := range o.ObjectLists(name) {
		stages = append(stages, readSteps(stage))
	}
	return stages
}

func readSteps(items []*wire.Object) []step {
	var steps []step
	for _, item := range items {
		item.Required("sql")
		item.Required("name")
		if kind := string(item.Path("kind", "")); !kinds.MatchString(kind) {
			item.Report("kind", "must be of the letters a to z and _")
		}
		steps = append(steps, step{
			action:      item.Choice("action", "none", "create", "update", "delete"),
			kind:        string(item.RequiredPath("kind")),
			name:        string(item.Path("name", "")),
			sql:         statements(item, "sql"),
			transaction: item.Bool("transaction", true),
		})
	}
	return steps
}

// optionalText reads a string or null.
func optionalText(o *wire.Object, name string) string {
	if string(o.Raw(name)) == "null" {
		return ""
	}
	return string(o.Path(name, ""))
}

func statements(o *wire.Object, name string) []string {
	var list []string
	for _, text := range o.Paths(name) {
		list = append(list, string(text))
	}
	return list
}
