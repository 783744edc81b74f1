// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy_test

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"migration.assistant/engine/internal/runner"
)

// begun lets meanwhile begin where no chunks are recorded.
const begun = "INSERT INTO chunks VALUES ('any', 1, NULL, NULL, true)"

// meanwhile does something several times while a job runs, from the moment at which its first chunk is done.
func (b *bed) meanwhile(pause time.Duration, times int, do func()) (stop func()) {
	look := b.cluster.Open(b.t, b.destination.Name)
	end := make(chan struct{})
	waited := func(pause time.Duration) bool {
		select {
		case <-time.After(pause):
			return true
		case <-end:
			return false
		}
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		for look.Ask("SELECT EXISTS (SELECT FROM chunks WHERE done)") != "t" {
			if !waited(5 * time.Millisecond) {
				return
			}
		}
		for do(); times > 1 && waited(pause); times-- {
			do()
		}
	})
	return func() {
		close(end)
		ended.Wait()
	}
}

// ending ends the sessions of the job on one side that are at work, whatever they do.
func (b *bed) ending(side string) func() {
	admin := b.cluster.Open(b.t, "postgres")
	return func() {
		admin.Ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'copy " + b.prefix + "_" + side + "'")
	}
}

func TestConnectionsAreMadeAnew(t *testing.T) {
	for _, side := range []string{"source", "destination"} {
		t.Run(side, func(t *testing.T) {
			b := newBed(t)
			b.table("t", 300000)
			plan := b.plan(object{"chunk_rows": 5000, "prepare": []object{create("t")}, "retries": 20}, b.load("t"))
			stop := b.meanwhile(80*time.Millisecond, 3, b.ending(side))
			done := run(t, plan)
			stop()
			done.succeeded("create index t_pkey", "create table public.t", "update rows public.t +300000 ~0 -0")
			done.statistics("rows_copied", 300000, "rows_verified", 300000, "chunks", 61)
			b.equal("t")
			if got := done.warnings(); got != "connection_lost" {
				t.Errorf("the warnings are %s", got)
			}
			if retries := done.terminal["performance"].(object)["retry_count"].(float64); retries < 1 {
				t.Errorf("retry_count is %v", retries)
			}
		})
	}
}

func TestRepairsOutliveLostConnections(t *testing.T) {
	b := newBed(t)
	b.mirror("t", 200000)
	b.destination.Exec("UPDATE t SET value = 'other' WHERE id % 2 = 0", "DELETE FROM t WHERE id % 10 = 1",
		"INSERT INTO t SELECT -i FROM generate_series(1, 500) i")
	b.destination.Exec(begun)
	plan := b.plan(object{"chunk_rows": 5000, "retries": 20}, b.sync("t"))
	source, destination := b.ending("source"), b.ending("destination")
	stop := b.meanwhile(100*time.Millisecond, 4, func() { source(); destination() })
	done := run(t, plan)
	stop()
	done.succeeded("update rows public.t +20000 ~100000 -500").statistics("chunks_compared", 41)
	b.equal("t")
}

func TestASnapshotThatCannotBeMadeAnewIsLost(t *testing.T) {
	for _, renewable := range []bool{false, true} {
		b := newBed(t)
		b.table("t", 200000)
		plan := b.plan(object{"chunk_rows": 2000, "prepare": []object{create("t")}, "retries": 3}, b.load("t"))
		plan["snapshot"].(object)["renewable"] = renewable
		end := b.ending("source")
		stop := b.meanwhile(0, 1, func() {
			if renewable {
				b.holder.Exec("ROLLBACK")
			}
			end()
		})
		done := run(t, plan)
		stop()
		done.failed("snapshot_lost", "source")
		if done.terminal["resumable"] != true || done.terminal["changed"] != true {
			t.Errorf("%v", done.terminal)
		}
		again := run(t, b.plan(nil, b.load("t"))).succeeded("create index t_pkey",
			fmt.Sprintf("update rows public.t +%d ~0 -0", 200000-done.statistic("rows_copied")))
		again.statistics("resumed_rows", done.statistic("rows_copied"), "rows_verified", 200000)
		b.equal("t")
	}
}

func TestAJobThatWasCutOffGoesOn(t *testing.T) {
	b := newBed(t)
	b.table("t", 400000)
	plan := b.plan(object{"chunk_rows": 2000, "prepare": []object{create("t")}}, b.load("t"))
	wanted, dropped := io.Pipe()
	stop := b.meanwhile(0, 1, func() { _ = dropped.Close() })
	var output bytes.Buffer
	line := jobLine(t, plan, object{"lifeline": true})
	runner.Run("0.0.0", registry(), io.MultiReader(bytes.NewReader(line), wanted), &output)
	stop()
	done := readEvents(t, &output).failed("cancelled", "")
	for range 100 {
		if b.destination.Ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'copy "+b.prefix+"%'") == "0" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	recorded := b.destination.Ask("SELECT sum(rows), sum(rows) = (SELECT count(*) FROM t) FROM chunks WHERE done")
	if want := fmt.Sprintf("%d|t", done.statistic("rows_copied")); recorded != want || strings.HasPrefix(want, "0|") {
		t.Errorf("recorded are %s and not %s", recorded, want)
	}
	delete(plan, "prepare")
	run(t, plan).succeeded("create index t_pkey", fmt.Sprintf("update rows public.t +%d ~0 -0", 400000-done.statistic("rows_copied"))).
		statistics("rows_total", 400000, "resumed_rows", done.statistic("rows_copied"))
	b.equal("t")
}

func TestWithoutRecordsTheRowsTell(t *testing.T) {
	b := newBed(t)
	b.table("t", 200000)
	spec := b.load("t")
	for _, name := range []string{"chunks", "split", "done"} {
		delete(spec, name)
	}
	note := object{"kind": "note", "name": "", "sql": []string{begun}}
	plan := b.plan(object{"chunk_rows": 5000, "prepare": []object{create("t"), note}, "retries": 20}, spec)
	stop := b.meanwhile(100*time.Millisecond, 3, b.ending("destination"))
	done := run(t, plan)
	stop()
	done.succeeded("create index t_pkey", "create table public.t", "update rows public.t +200000 ~0 -0")
	b.equal("t")
}

func TestAServerThatComesBackIsWaitedFor(t *testing.T) {
	b := newBed(t)
	b.table("t", 300000)
	plan := b.plan(object{"chunk_rows": 5000, "prepare": []object{create("t")}}, b.load("t"))
	admin := b.cluster.Open(t, "postgres")
	pid := admin.Ask("SELECT pg_backend_pid()")
	// The death of one of its processes makes the server end all sessions, and so the snapshot, and start anew.
	stop := b.meanwhile(0, 1, func() { _ = exec.Command("kill", "-KILL", pid).Run() })
	done := run(t, plan)
	stop()
	done.failed("snapshot_lost", "source")
	b.source, b.destination = b.cluster.Open(t, b.source.Name), b.cluster.Open(t, b.destination.Name)
	run(t, b.plan(nil, b.load("t"))).succeeded("create index t_pkey",
		fmt.Sprintf("update rows public.t +%d ~0 -0", 300000-done.statistic("rows_copied")))
	b.equal("t")
}

func TestServersThatAreNotThere(t *testing.T) {
	b := newBed(t)
	b.table("t", 1)
	plan := b.plan(object{"retries": 0}, b.load("t"))
	plan["destination"].(object)["host"] = "127.0.0.1"
	plan["destination"].(object)["port"] = 1
	run(t, plan).failed("unreachable", "unable to connect to the destination 127.0.0.1:1: connection refused").changed()
	plan["destination"] = b.end("missing")
	run(t, plan).failed("database_error", `unable to connect to the destination `+b.cluster.Socket)
	plan["source"].(object)["user"] = "stranger"
	run(t, plan).failed("access_denied", "unable to connect to the source")
	plan["source"].(object)["engine"] = "oracle"
	run(t, plan).failed("bad_job", "parameters.source.engine is oracle")
}
