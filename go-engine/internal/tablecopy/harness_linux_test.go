// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/postgres"
	"migration.assistant/engine/internal/postgres/pgtest"
	"migration.assistant/engine/internal/runner"
	"migration.assistant/engine/internal/server"
	"migration.assistant/engine/internal/tablecopy"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// object is a JSON object.
type object = map[string]any

// bed has a source and a destination, and makes the plans between them.
type bed struct {
	t                   *testing.T
	cluster             *pgtest.Cluster
	source, destination *pgtest.Database
	holder              *pgtest.Database // holds the snapshot
	prefix              string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	cluster := pgtest.Shared(t)
	prefix := "t" + fmt.Sprint(os.Getpid())
	b := &bed{t: t, cluster: cluster, prefix: prefix}
	b.source, b.destination = cluster.Database(t, prefix+"_source"), cluster.Database(t, prefix+"_destination")
	b.destination.Exec("CREATE TABLE chunks (tab text, number bigint, low text, high text, done boolean, rows bigint, PRIMARY KEY (tab, number))")
	return b
}

const (
	columns    = "id, value, unique_value"
	definition = "(id bigint NOT NULL, value text, unique_value text)"
)

// table makes one of so many rows on the source.
func (b *bed) table(name string, rows int) {
	b.source.Exec("CREATE TABLE "+name+" "+definition,
		fmt.Sprintf("INSERT INTO %s SELECT i, repeat('x', i %% 50) || i, 'u' || i FROM generate_series(1, %d) i", name, rows),
		"ALTER TABLE "+name+" ADD PRIMARY KEY (id)", "ANALYZE "+name)
}

// mirror makes the same table on the destination.
func (b *bed) mirror(name string, rows int) {
	b.table(name, rows)
	b.destination.Exec("CREATE TABLE "+name+" "+definition,
		fmt.Sprintf("INSERT INTO %s SELECT i, repeat('x', i %% 50) || i, 'u' || i FROM generate_series(1, %d) i", name, rows),
		"ALTER TABLE "+name+" ADD PRIMARY KEY (id)")
}

func (b *bed) end(name string) object {
	to := b.cluster.Server(name)
	return object{
		"engine": "postgresql", "host": to.Host, "port": to.Port, "user": to.User, "database": name, "password": nil,
		"application_name": "copy " + name,
	}
}

// load is the plan for a table that the destination does not have.
func (b *bed) load(name string) object {
	spec := b.sync(name)
	maps.Copy(spec, object{
		"action":   "load",
		"chunks":   "SELECT number, low, high, done, rows FROM chunks WHERE tab = '" + name + "' ORDER BY number",
		"split":    "INSERT INTO chunks VALUES ('" + name + "', {number}, {low}, {high}, false)",
		"done":     "UPDATE chunks SET done = true, rows = {rows} WHERE tab = '" + name + "' AND number = {number} AND NOT done",
		"complete": []string{"DELETE FROM chunks WHERE tab = '" + name + "'"},
		"finish": [][]object{{{"action": "create", "kind": "index", "name": name + "_pkey",
			"sql": []string{"ALTER TABLE " + name + " ADD PRIMARY KEY (id)"}}}},
	})
	return spec
}

// sync is the plan for a table that both have.
func (b *bed) sync(name string) object {
	hash := "SELECT count(*), sum(hashtextextended(d::text, 0)) FROM (SELECT " + columns + " FROM " + name + " WHERE {range}) d"
	digests := "SELECT quote_literal(id), md5(d::text) FROM (SELECT " + columns + " FROM " + name + " WHERE {range}) d"
	bounds := object{"above": "id > {key}", "upto": "id <= {key}"}
	count := "SELECT count(*) FROM " + name
	return object{
		"name": "public." + name, "action": "sync", "count": count, "count_written": count,
		"read":         "COPY (SELECT " + columns + " FROM " + name + " WHERE {range}) TO STDOUT (FORMAT binary)",
		"load":         "COPY " + name + " (" + columns + ") FROM STDIN (FORMAT binary)",
		"range_source": bounds, "range_destination": bounds,
		"next":        "SELECT quote_literal(id) FROM " + name + " WHERE {range} ORDER BY id OFFSET {rows} - 1 LIMIT 1",
		"hash_source": hash, "hash_destination": hash, "digests_source": digests, "digests_destination": digests,
		"read_keys":    "COPY (SELECT " + columns + " FROM " + name + " WHERE id IN ({keys})) TO STDOUT (FORMAT binary)",
		"delete_keys":  "DELETE FROM " + name + " WHERE id IN ({keys})",
		"delete_range": "DELETE FROM " + name + " WHERE {range}",
	}
}

// create is the step that makes a table on the destination.
func create(name string) object {
	return object{"action": "create", "kind": "table", "name": "public." + name, "sql": []string{"CREATE TABLE " + name + " " + definition}}
}

// plan has the tables, with a snapshot that is held until the next plan.
func (b *bed) plan(changes object, tables ...object) object {
	b.t.Helper()
	b.holder = b.cluster.Open(b.t, b.source.Name)
	b.holder.Exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	snapshot := b.holder.Ask("SELECT pg_export_snapshot()")
	plan := object{
		"source": b.end(b.source.Name), "destination": b.end(b.destination.Name), "workers": 3, "chunk_rows": 1000,
		"snapshot": object{
			"begin":     []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET TRANSACTION SNAPSHOT '" + snapshot + "'"},
			"renewable": true,
		},
		"tables": tables,
	}
	maps.Copy(plan, changes)
	return plan
}

// outcome is what a job said.
type outcome struct {
	t        *testing.T
	events   []object
	terminal object
}

func registry() operations.Registry {
	return tablecopy.Operations(map[string]server.Driver{"postgresql": postgres.Driver{}})
}

func run(t *testing.T, plan object, options ...object) *outcome {
	t.Helper()
	var output bytes.Buffer
	runner.Run("0.0.0", registry(), bytes.NewReader(jobLine(t, plan, options...)), &output)
	return readEvents(t, &output)
}

func jobLine(t *testing.T, plan object, options ...object) []byte {
	t.Helper()
	job := object{"protocol": 1, "id": "test", "operation": "table_copy", "parameters": plan}
	for _, more := range options {
		maps.Copy(job, more)
	}
	line, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return append(line, '\n')
}

func readEvents(t *testing.T, output io.Reader) *outcome {
	t.Helper()
	o := &outcome{t: t}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		event := object{}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		o.events = append(o.events, event)
	}
	o.terminal = o.events[len(o.events)-1]
	return o
}

// changes gives the changes as "action kind path", with the counts of rows, sorted.
func (o *outcome) changes() string {
	var changes []string
	for _, event := range o.events {
		if event["event"] != "change" {
			continue
		}
		text := fmt.Sprintf("%s %s %s", event["action"], event["kind"], event["path"])
		if after, has := event["after"].(object); has {
			text += fmt.Sprintf(" +%v ~%v -%v", after["inserted"], after["updated"], after["deleted"])
		}
		changes = append(changes, text)
	}
	slices.Sort(changes)
	return strings.Join(changes, "\n")
}

// warnings gives "code path" of each, sorted.
func (o *outcome) warnings() string {
	var warnings []string
	for _, event := range o.events {
		if event["event"] == "warning" {
			path, _ := event["path"].(string)
			warnings = append(warnings, strings.TrimSpace(fmt.Sprintf("%s %s", event["code"], path)))
		}
	}
	slices.Sort(warnings)
	return strings.Join(warnings, "\n")
}

func (o *outcome) statistic(name string) int {
	o.t.Helper()
	value, has := o.terminal["statistics"].(object)[name].(float64)
	if !has {
		o.t.Errorf("there is no %s in %v", name, o.terminal)
	}
	return int(value)
}

// statistics checks several, given as name and number in turn.
func (o *outcome) statistics(wanted ...any) {
	o.t.Helper()
	for index := 0; index < len(wanted); index += 2 {
		if got := o.statistic(wanted[index].(string)); got != wanted[index+1] {
			o.t.Errorf("%s is %d and not %d", wanted[index], got, wanted[index+1])
		}
	}
}

func (o *outcome) succeeded(changes ...string) *outcome {
	o.t.Helper()
	if o.terminal["event"] != "result" {
		o.t.Fatalf("the job failed: %v %v", o.terminal, o.warnings())
	}
	o.changed(changes...)
	if o.terminal["changed"] != (len(changes) > 0) {
		o.t.Errorf("changed is %v", o.terminal["changed"])
	}
	return o
}

func (o *outcome) changed(changes ...string) {
	o.t.Helper()
	if got, want := o.changes(), strings.Join(changes, "\n"); got != want {
		o.t.Errorf("the changes are\n%s\nand not\n%s", got, want)
	}
}

func (o *outcome) failed(code, text string) *outcome {
	o.t.Helper()
	message, _ := o.terminal["message"].(string)
	if o.terminal["event"] != "error" || o.terminal["code"] != code || !strings.Contains(message, text) {
		o.t.Fatalf("%v instead of %s with %q", o.terminal, code, text)
	}
	return o
}

// equal checks that the destination has exactly the rows of the source, given as they are now or were.
func (b *bed) equal(names ...string) {
	b.t.Helper()
	for _, name := range names {
		ask := "SELECT count(*), count(DISTINCT id), md5(string_agg(d::text, '' ORDER BY id)) FROM " + name + " d"
		if source, destination := b.source.Ask(ask), b.destination.Ask(ask); source != destination {
			b.t.Errorf("%s: %s instead of %s", name, destination, source)
		}
	}
}
