// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// cutter is a way to the server on which connections break off while a COMMIT is on its way: it comes through or not, but
// never its answer.
type cutter struct {
	port     int
	server   string
	through  bool
	cutFrom  int64 // commits, from 1
	cutUntil int64
	commits  atomic.Int64
}

func (b *bed) cutter(through bool, from, until int64) *cutter {
	b.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = listener.Close() })
	c := &cutter{
		port: listener.Addr().(*net.TCPAddr).Port, server: fmt.Sprintf("127.0.0.1:%d", b.cluster.Port),
		through: through, cutFrom: from, cutUntil: until,
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.relay(client)
		}
	}()
	return c
}

func (c *cutter) relay(client net.Conn) {
	defer client.Close()
	behind, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer behind.Close()
	var silent atomic.Bool
	go func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := behind.Read(buffer)
			if err != nil || silent.Load() {
				return
			}
			_, _ = client.Write(buffer[:n])
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Equal(buffer[:n], []byte("Q\x00\x00\x00\x0bCOMMIT\x00")) {
			if number := c.commits.Add(1); number >= c.cutFrom && number <= c.cutUntil {
				if silent.Store(true); c.through {
					_, _ = behind.Write(buffer[:n])
					time.Sleep(100 * time.Millisecond)
				}
				return
			}
		}
		if _, err := io.Copy(behind, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}

// by makes the plan reach its destination through the cutter.
func (c *cutter) by(plan object) object {
	end := plan["destination"].(object)
	end["host"], end["port"], end["tls"] = "127.0.0.1", c.port, object{"mode": "disable"}
	return plan
}

func TestAChunkWhoseCommitIsCutOffIsThereOnce(t *testing.T) {
	for _, through := range []bool{true, false} {
		for _, recorded := range []bool{true, false} {
			t.Run(fmt.Sprintf("through %t recorded %t", through, recorded), func(t *testing.T) {
				b := newBed(t)
				b.table("t", 10000)
				spec := b.load("t")
				if !recorded {
					for _, name := range []string{"chunks", "split", "done"} {
						delete(spec, name)
					}
				}
				// The first commit is that of the step.
				c := b.cutter(through, 2, 4)
				plan := c.by(b.plan(object{"prepare": []object{create("t")}}, spec))
				done := run(t, plan).succeeded("create index t_pkey", "create table public.t", "update rows public.t +10000 ~0 -0")
				done.statistics("rows_copied", 10000, "chunks", 11, "rows_verified", 10000, "resumed_rows", 0)
				b.equal("t")
				if got := done.warnings(); got != "connection_lost" {
					t.Error(got)
				}
			})
		}
	}
}

func TestARepairWhoseCommitIsCutOffIsCountedOnce(t *testing.T) {
	for _, through := range []bool{true, false} {
		b := newBed(t)
		b.mirror("t", 5000)
		b.destination.Exec("UPDATE t SET value = 'other' WHERE id % 1000 = 5", "DELETE FROM t WHERE id % 1000 = 6",
			"INSERT INTO t VALUES (-1), (9000)")
		c := b.cutter(through, 1, 3)
		done := run(t, c.by(b.plan(nil, b.sync("t")))).succeeded("update rows public.t +5 ~5 -2")
		done.statistics("chunks_repaired", 6, "chunks_compared", 6, "rows_total", 5000, "rows_verified", 5000)
		b.equal("t")
	}
}

func TestUniqueValuesMayHaveChangedPlacesOverACutOffCommit(t *testing.T) {
	b := newBed(t)
	b.mirror("t", 4000)
	b.destination.Exec("CREATE UNIQUE INDEX ON t (unique_value)", "DELETE FROM t WHERE id = 3500",
		"UPDATE t SET unique_value = 'was ' || unique_value WHERE id IN (10, 1010)",
		"UPDATE t SET unique_value = CASE id WHEN 10 THEN 'u3500' ELSE 'u10' END WHERE id IN (10, 1010)")
	c := b.cutter(true, 1, 5)
	run(t, c.by(b.plan(nil, b.sync("t")))).succeeded("update rows public.t +1 ~2 -0")
	b.equal("t")
}

func TestAStepWhoseCommitIsCutOffIsNotDoneAgain(t *testing.T) {
	b := newBed(t)
	b.table("t", 10)
	for _, through := range []bool{true, false} {
		b.destination.Exec("DROP TABLE IF EXISTS t")
		c := b.cutter(through, 1, 1)
		done := run(t, c.by(b.plan(object{"prepare": []object{create("t")}}, b.load("t"))))
		done.failed("unreachable", "it is not known whether").changed()
		if there := b.destination.Ask("SELECT count(*) FROM pg_class WHERE relname = 't'"); (there == "1") != through {
			t.Errorf("through %t: %s", through, there)
		}
	}
}
