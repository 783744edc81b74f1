// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy_test

import (
	"strings"
	"testing"
)

func TestTablesAreLoadedVerifiedAndFinished(t *testing.T) {
	b := newBed(t)
	b.table("big", 25500)
	b.table("small", 7)
	b.table("empty", 0)
	small := b.load("small")
	small["bounds"] = []string{"'2'", "'5'"} // of ranges that the plan knows
	small["next"] = nil
	plan := b.plan(object{
		"prepare": []object{create("big"), create("small"), create("empty")},
		"finish": [][]object{
			{{"action": "create", "kind": "view", "name": "v", "sql": []string{"CREATE VIEW v AS SELECT count(*) FROM big"}},
				{"kind": "analyze", "name": "", "sql": []string{"ANALYZE"}, "transaction": false}},
			{{"action": "create", "kind": "constraint", "name": "c", "sql": []string{"ALTER TABLE small ADD FOREIGN KEY (id) REFERENCES big", "CREATE VIEW w AS TABLE v"}}},
		},
	}, b.load("big"), small, b.load("empty"))
	changes := []string{
		"create constraint c", "create index big_pkey", "create index empty_pkey", "create index small_pkey",
		"create table public.big", "create table public.empty", "create table public.small", "create view v",
		"update rows public.big +25500 ~0 -0", "update rows public.small +7 ~0 -0",
	}
	told := run(t, plan, object{"dry_run": true}).succeeded(changes...)
	told.statistics("rows_inserted", 25507, "tables_created", 3, "chunks", 30, "rows_verified", 0)
	if left := b.destination.Ask("SELECT count(*) FROM pg_class WHERE relname IN ('big', 'v')"); left != "0" {
		t.Errorf("a dry run wrote: %s", left)
	}
	done := run(t, plan).succeeded(changes...)
	done.statistics("tables", 3, "rows_total", 25507, "rows_copied", 25507, "chunks", 30, "rows_verified", 25507,
		"indexes_created", 3, "constraints_created", 1, "views_created", 1, "resumed_rows", 0, "changes", 10)
	if done.statistic("bytes_copied") < 25507*10 {
		t.Errorf("bytes_copied is %d", done.statistic("bytes_copied"))
	}
	b.equal("big", "small", "empty")
	if left := b.destination.Ask("SELECT count(*) FROM chunks"); left != "0" {
		t.Errorf("%s records are left", left)
	}
	// A keep is only counted.
	kept := b.sync("small")
	kept["action"] = "keep"
	run(t, b.plan(nil, b.sync("big"), kept)).succeeded().statistics("rows_total", 25507, "rows_verified", 25500, "chunks_compared", 26)
}

func TestOnlyWhatDiffersIsWritten(t *testing.T) {
	for _, verify := range []string{"none", "counts", "checksum", "full"} {
		b := newBed(t)
		b.mirror("t", 10000)
		b.destination.Exec("UPDATE t SET value = NULL WHERE id IN (1, 2500, 9999)", "DELETE FROM t WHERE id IN (3000, 3001)",
			"INSERT INTO t VALUES (-5, 'low'), (70000, 'high'), (70001, 'high')", "CREATE TABLE log (what text)",
			"CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END$$",
			"CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note()")
		plan := b.plan(object{"verify": verify}, b.sync("t"))
		run(t, plan, object{"dry_run": true}).succeeded("update rows public.t +2 ~3 -3")
		done := run(t, plan).succeeded("update rows public.t +2 ~3 -3")
		done.statistics("rows_total", 10000, "rows_copied", 5, "chunks_compared", 11, "chunks_repaired", 5)
		b.equal("t")
		if log := b.destination.Ask("SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1"); log != "DELETE|6\nINSERT|5" {
			t.Errorf("what was written is %s", log)
		}
		want := 10000
		if verify == "none" {
			want = 0
		}
		run(t, plan).succeeded().statistics("rows_verified", want, "chunks_repaired", 0)
	}
}

func TestAChunkOfWhichMostDiffersIsReplaced(t *testing.T) {
	b := newBed(t)
	b.mirror("t", 10000)
	b.destination.Exec("UPDATE t SET value = 'other' WHERE id <= 3000", "DELETE FROM t WHERE id BETWEEN 3001 AND 4000",
		"INSERT INTO t SELECT i FROM generate_series(10001, 25000) i")
	spec := b.sync("t")
	spec["before_repair"] = []string{"CREATE TEMP TABLE before (a int) ON COMMIT DROP"}
	spec["after_repair"] = []string{"INSERT INTO before VALUES (1)"}
	plan := b.plan(object{"chunk_rows": 4000}, spec)
	run(t, plan).succeeded("update rows public.t +1000 ~3000 -15000").statistics("chunks_repaired", 2)
	b.equal("t")
	run(t, plan).succeeded()
}

func TestATableWithoutAKeyIsReplacedWhole(t *testing.T) {
	b := newBed(t)
	b.mirror("t", 5000)
	b.destination.Exec("INSERT INTO t VALUES (9000, 'x')", "DELETE FROM t WHERE id = 1")
	spec := b.sync("t")
	for _, name := range []string{"digests_source", "digests_destination", "read_keys", "delete_keys", "delete_range"} {
		spec[name] = nil
	}
	spec["replace"] = []string{"TRUNCATE t"}
	plan := b.plan(nil, spec)
	run(t, plan, object{"dry_run": true}).succeeded("update rows public.t +5000 ~0 -5000")
	run(t, plan).succeeded("update rows public.t +5000 ~0 -5000").statistics("chunks_compared", 1, "chunks_repaired", 1)
	b.equal("t")
	run(t, plan).succeeded()
}

func TestUniqueValuesMayHaveChangedPlaces(t *testing.T) {
	b := newBed(t)
	b.mirror("t", 4000)
	b.destination.Exec("CREATE UNIQUE INDEX ON t (unique_value)",
		"UPDATE t SET unique_value = 'was ' || unique_value WHERE id IN (10, 1010, 3500)",
		"UPDATE t SET unique_value = CASE id WHEN 10 THEN 'u3500' WHEN 1010 THEN 'u10' ELSE 'u1010' END WHERE id IN (10, 1010, 3500)")
	run(t, b.plan(nil, b.sync("t"))).succeeded("update rows public.t +0 ~3 -0").statistics("chunks_repaired", 3)
	b.equal("t")
}

func TestARefusalComesBeforeAllWriting(t *testing.T) {
	b := newBed(t)
	b.mirror("theirs", 5000)
	b.table("ours", 10)
	guarded := b.sync("theirs")
	guarded["refusal"] = "public.theirs is not ours"
	plan := b.plan(object{"prepare": []object{create("ours")}}, b.load("ours"), guarded)
	b.destination.Exec("UPDATE theirs SET value = 'kept' WHERE id = 4321")
	for _, dry := range []bool{true, false} {
		done := run(t, plan, object{"dry_run": dry}).failed("destination_exists", "public.theirs is not ours")
		if done.changes() != "" || done.terminal["path"] != "public.theirs" {
			t.Errorf("%v", done.terminal)
		}
	}
	if left := b.destination.Ask("SELECT count(*) FROM pg_class WHERE relname = 'ours'"); left != "0" {
		t.Error("a table was made")
	}
	b.destination.Exec("UPDATE theirs SET value = (repeat('x', 4321 % 50) || 4321) WHERE id = 4321")
	run(t, plan).succeeded("create index ours_pkey", "create table public.ours", "update rows public.ours +10 ~0 -0").
		statistics("rows_total", 5010, "rows_verified", 5010)
}

func TestAFailedTableDoesNotHideTheOthers(t *testing.T) {
	b := newBed(t)
	for _, name := range []string{"bad", "good", "worse"} {
		b.table(name, 3500)
	}
	b.destination.Exec("CREATE TABLE worse (id bigint CHECK (id < 2000), value text, unique_value text)")
	bad := b.load("bad")
	bad["read"] = "COPY (SELECT nonsense FROM bad WHERE {range}) TO STDOUT (FORMAT binary)"
	plan := b.plan(object{
		"prepare": []object{create("good"), create("bad")},
		"finish":  [][]object{{{"action": "create", "kind": "view", "name": "v", "sql": []string{"CREATE VIEW v AS TABLE good"}}}},
	}, bad, b.load("worse"), b.load("good"))
	done := run(t, plan).failed("partial_failure", "2 tables failed; the first: public.bad: source: column \"nonsense\" does not exist")
	if got := done.warnings(); got != "database_error public.bad\ndatabase_error public.worse" {
		t.Error(got)
	}
	if text := done.changes(); !strings.Contains(text, "update rows public.good +3500") || strings.Contains(text, "view v") ||
		strings.Contains(text, "worse_pkey") || done.terminal["changed"] != true || done.terminal["resumable"] != true {
		t.Errorf("%s\n%v", text, done.terminal)
	}
	b.equal("good")
	done.statistics("rows_verified", 3500)
}

func TestAStepThatFailsIsNamed(t *testing.T) {
	b := newBed(t)
	b.table("t", 10)
	bad := object{"action": "create", "kind": "view", "name": "v", "sql": []string{"CREATE TABLE half (a int)", "CREATE VIEW v AS TABLE missing"}}
	run(t, b.plan(object{"prepare": []object{bad}}, b.load("t"))).
		failed("database_error", `view v: destination: relation "missing" does not exist`).changed()
	last := object{"action": "create", "kind": "view", "name": "last", "sql": []string{"CREATE VIEW last AS TABLE t"}}
	good := object{"action": "create", "kind": "view", "name": "good", "sql": []string{"CREATE VIEW good AS TABLE t"}}
	run(t, b.plan(object{"prepare": []object{create("t")}, "finish": [][]object{{bad, good}, {last}}}, b.load("t"))).
		failed("database_error", "view v: ").
		changed("create index t_pkey", "create table public.t", "create view good", "update rows public.t +10 ~0 -0")
	if left := b.destination.Ask("SELECT count(*) FROM pg_class WHERE relname IN ('half', 'last')"); left != "0" {
		t.Error("half of a step was done, or one too many")
	}
}

func TestWhatTheDestinationChangesIsNotVerified(t *testing.T) {
	for _, verify := range []string{"checksum", "full"} {
		b := newBed(t)
		b.mirror("old", 3000)
		b.table("new", 3000)
		b.destination.Exec("CREATE TABLE new "+definition, "DELETE FROM old WHERE id = 1500",
			"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id = 1500 THEN NEW.value = 'spoilt'; END IF; RETURN NEW; END$$",
			"CREATE TRIGGER spoil BEFORE INSERT ON old FOR EACH ROW EXECUTE FUNCTION spoil()",
			"CREATE TRIGGER spoil BEFORE INSERT ON new FOR EACH ROW EXECUTE FUNCTION spoil()")
		done := run(t, b.plan(object{"verify": verify}, b.load("new"), b.sync("old")))
		done.failed("verification_failed", "2 tables failed; the first: public.").statistics("rows_verified", 0)
		if got := done.warnings(); got != "verification_failed public.new\nverification_failed public.old" {
			t.Error(got)
		}
		if left := b.destination.Ask("SELECT count(*) FROM old"); left != "2999" {
			t.Errorf("the repair was not taken back: %s rows", left)
		}
	}
}

func TestRowsThatAreMissingAreCounted(t *testing.T) {
	b := newBed(t)
	b.table("t", 3000)
	b.destination.Exec("CREATE TABLE t "+definition,
		"CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
		"CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM t WHERE id = 77; RETURN NULL; END$$",
		"CREATE TRIGGER later AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION later()")
	run(t, b.plan(object{"verify": "counts"}, b.load("t"))).
		failed("verification_failed", "public.t: the destination has 2999 rows and the source 3000")
	b.destination.Exec("TRUNCATE t, chunks", "DROP TRIGGER later ON t", "ALTER TABLE t DROP CONSTRAINT t_pkey",
		"CREATE TRIGGER swallow BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 5) EXECUTE FUNCTION swallow()")
	run(t, b.plan(object{"verify": "none"}, b.load("t"))).
		failed("partial_failure", "public.t: 1000 rows were read and 999 were written")
}
