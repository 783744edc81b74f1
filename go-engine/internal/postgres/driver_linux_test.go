// SPDX-License-Identifier: GPL-3.0-or-later

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/postgres"
	"migration.assistant/engine/internal/postgres/pgtest"
	"migration.assistant/engine/internal/server"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func connect(t *testing.T, to *server.Server) server.Connection {
	t.Helper()
	connection, err := postgres.Driver{}.Connect(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}

func expect(t *testing.T, err error, trouble server.Trouble, text string) {
	t.Helper()
	var found *server.Error
	if !errors.As(err, &found) || found.Trouble != trouble || !strings.Contains(found.Message, text) || strings.Contains(found.Message, "\n") {
		t.Errorf("%#v instead of trouble %d with %q", err, trouble, text)
	}
}

// overNetwork is the server as seen by its address, by the user who needs a password.
func overNetwork(cluster *pgtest.Cluster, password string) *server.Server {
	to := cluster.Server("postgres")
	to.Host, to.User, to.Password, to.HasPassword = "127.0.0.1", "guarded", password, true
	return to
}

func guarded(t *testing.T) *pgtest.Cluster {
	t.Helper()
	cluster := pgtest.Shared(t)
	admin := cluster.Open(t, "postgres")
	admin.Exec("DROP ROLE IF EXISTS guarded", "CREATE ROLE guarded LOGIN PASSWORD "+postgres.Driver{}.Literal(pgtest.Password))
	return cluster
}

func TestLoginsThatFailSayWhy(t *testing.T) {
	cluster := guarded(t)
	connect(t, overNetwork(cluster, pgtest.Password))
	elsewhere := func(change func(to *server.Server)) *server.Server {
		to := cluster.Server("postgres")
		change(to)
		return to
	}
	for name, attempt := range map[string]struct {
		to      *server.Server
		trouble server.Trouble
		text    string
	}{
		"password": {overNetwork(cluster, "wrong"+pgtest.Password), server.Denied, "password authentication failed"},
		"none":     {overNetwork(cluster, ""), server.Denied, "password"},
		"user":     {elsewhere(func(to *server.Server) { to.User = "nobody else" }), server.Denied, `role "nobody else" does not exist`},
		"database": {elsewhere(func(to *server.Server) { to.Database = "it's not" }), server.Refused, `database "it's not" does not exist`},
		"port":     {elsewhere(func(to *server.Server) { to.Host, to.Port = "127.0.0.1", 1 }), server.Lost, "connection refused"},
		"socket":   {elsewhere(func(to *server.Server) { to.Host = "/nowhere" }), server.Lost, "no such file"},
		"name":     {elsewhere(func(to *server.Server) { to.Host = "host.invalid" }), server.Lost, "host.invalid cannot be resolved"},
		"session":  {elsewhere(func(to *server.Server) { to.Session = []string{"SET nonsense = 1"} }), server.Refused, "nonsense"},
		"root": {elsewhere(func(to *server.Server) {
			to.Host, to.TLS.Mode, to.TLS.RootCertificate = "127.0.0.1", "verify-full", "/no/root.crt"
		}), server.Refused, "/no/root.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Driver{}.Connect(t.Context(), attempt.to)
			expect(t, err, attempt.trouble, attempt.text)
			if err != nil && strings.Contains(err.Error(), "s3cr") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}

func TestTooManyConnectionsPass(t *testing.T) {
	cluster := pgtest.Shared(t)
	database := cluster.Database(t, "narrow")
	database.Exec("DROP ROLE IF EXISTS ordinary", "CREATE ROLE ordinary LOGIN CONNECTION LIMIT 1")
	to := cluster.Server("narrow")
	to.User = "ordinary"
	connect(t, to)
	_, err := postgres.Driver{}.Connect(t.Context(), to)
	expect(t, err, server.Lost, "too many connections")
}

func TestTLSIsAsAsked(t *testing.T) {
	cluster := guarded(t)
	encrypted := func(tls server.TLS) (string, error) {
		to := overNetwork(cluster, pgtest.Password)
		to.TLS = tls
		connection, err := postgres.Driver{}.Connect(t.Context(), to)
		if err != nil {
			return "", err
		}
		defer connection.Close()
		answer := ""
		err = connection.Query(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", func(row [][]byte) error {
			answer = string(row[0])
			return nil
		})
		return answer, err
	}
	for mode, want := range map[string]string{
		"disable": "f", "allow": "f", "prefer": "t", "require": "t", "verify-ca": "t", "verify-full": "t",
	} {
		tls := server.TLS{Mode: mode}
		if strings.HasPrefix(mode, "verify") {
			_, err := encrypted(tls)
			expect(t, err, server.Refused, "certificate")
			tls.RootCertificate = cluster.Certificate
		}
		if got, err := encrypted(tls); got != want || err != nil {
			t.Errorf("%s: %q, %v", mode, got, err)
		}
	}
}

func TestTheEnvironmentNamesThePasswordFileAlone(t *testing.T) {
	cluster := guarded(t)
	file := filepath.Join(t.TempDir(), "passwords")
	line := "*:*:*:guarded:" + strings.ReplaceAll(pgtest.Password, `\`, `\\`) + "\n"
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", file)
	t.Setenv("PGPASSWORD", "wrong")
	t.Setenv("PGSERVICE", "missing")
	t.Setenv("PGOPTIONS", "-c work_mem=nonsense")
	to := overNetwork(cluster, "")
	to.HasPassword = false
	to.ApplicationName = "it's me"
	to.Session = []string{"SET work_mem = '77MB'"}
	connection := connect(t, to)
	err := connection.Query(t.Context(), "SELECT current_setting('application_name'), current_setting('work_mem')", func(row [][]byte) error {
		if string(row[0]) != "it's me" || string(row[1]) != "77MB" {
			t.Errorf("%s", row)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStatements(t *testing.T) {
	cluster := guarded(t)
	cluster.Database(t, "statements")
	c := connect(t, cluster.Server("statements"))
	exec := func(statement string) (int64, error) { return c.Exec(t.Context(), statement) }
	if _, err := exec("CREATE TABLE t (a int PRIMARY KEY, b text)"); err != nil {
		t.Fatal(err)
	}
	if rows, err := exec("INSERT INTO t SELECT i, NULLIF(i, 2) FROM generate_series(1, 3) i"); rows != 3 || err != nil {
		t.Errorf("%d, %v", rows, err)
	}
	if rows, err := exec("UPDATE t SET b = 'x' WHERE a = 77"); rows != 0 || err != nil {
		t.Errorf("%d, %v", rows, err)
	}
	var got []string
	err := c.Query(t.Context(), "SELECT a, b FROM t ORDER BY a", func(row [][]byte) error {
		got = append(got, fmt.Sprintf("%s %s %t", row[0], row[1], row[1] == nil))
		return nil
	})
	if text := strings.Join(got, ", "); text != "1 1 false, 2  true, 3 3 false" || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	_, err = exec("INSERT INTO t VALUES (1, 'hidden value')")
	expect(t, err, server.Conflict, "t_pkey")
	if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "(1)") {
		t.Errorf("a value is told: %v", err)
	}
	_, err = exec("SELECT nonsense")
	expect(t, err, server.Refused, "nonsense")
	if _, err := exec("SET ROLE guarded"); err != nil {
		t.Error(err)
	}
	_, err = exec("DELETE FROM t")
	expect(t, err, server.Denied, "permission denied")
	if _, err := exec("RESET ROLE"); err != nil {
		t.Error(err)
	}
	wanted := errors.New("enough")
	if err := c.Query(t.Context(), "SELECT generate_series(1, 1000000)", func([][]byte) error { return wanted }); err != wanted {
		t.Error(err)
	}
}

func TestLiteralsAreReadAsTheyAre(t *testing.T) {
	cluster := pgtest.Shared(t)
	database := cluster.Open(t, "postgres")
	for _, text := range []string{"", "a", "it's", `a\b`, `\'`, `'\\'`, "é\n"} {
		for _, setting := range []string{"on", "off"} {
			database.Exec("SET standard_conforming_strings = " + setting)
			if got := database.Ask("SELECT " + postgres.Driver{}.Literal(text)); got != text {
				t.Errorf("%q is read %q where standard_conforming_strings is %s", text, got, setting)
			}
		}
	}
}

func TestDeadlocksMayPass(t *testing.T) {
	cluster := pgtest.Shared(t)
	database := cluster.Database(t, "deadlocks")
	database.Exec("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)")
	var connections [2]server.Connection
	for index := range connections {
		connections[index] = connect(t, cluster.Server("deadlocks"))
		for _, statement := range []string{"SET deadlock_timeout = 50", "BEGIN", fmt.Sprintf("UPDATE t SET a = a WHERE a = %d", index+1)} {
			if _, err := connections[index].Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	errs := make(chan error)
	for index, connection := range connections {
		go func() {
			_, err := connection.Exec(t.Context(), fmt.Sprintf("UPDATE t SET a = a WHERE a = %d", 2-index))
			if err != nil {
				_, _ = connection.Exec(t.Context(), "ROLLBACK")
			}
			errs <- err
		}()
	}
	err := <-errs
	if other := <-errs; err == nil {
		err = other
	}
	expect(t, err, server.Contention, "deadlock")
}

// rows are what a table is filled with.
const rows = "INSERT INTO t SELECT i, repeat('x', i % 100) FROM generate_series(1, 200000) i"

func filled(t *testing.T, name string) (*pgtest.Cluster, *pgtest.Database) {
	t.Helper()
	cluster := pgtest.Shared(t)
	database := cluster.Database(t, name)
	database.Exec("CREATE TABLE t (a int, b text)", "CREATE TABLE u (LIKE t)", rows)
	return cluster, database
}

const (
	readT = "COPY t TO STDOUT (FORMAT binary)"
	loadU = "COPY u FROM STDIN (FORMAT binary)"
)

func TestRowsAreCounted(t *testing.T) {
	cluster, database := filled(t, "counted")
	c := connect(t, cluster.Server("counted"))
	var data bytes.Buffer
	if read, err := c.Read(t.Context(), readT, &data); read != 200000 || err != nil {
		t.Fatalf("%d, %v", read, err)
	}
	if loaded, err := c.Load(t.Context(), loadU, &data); loaded != 200000 || err != nil {
		t.Fatalf("%d, %v", loaded, err)
	}
	if left := database.Ask("SELECT count(*) FROM (TABLE t EXCEPT ALL TABLE u) d"); left != "0" {
		t.Error(left)
	}
	_, err := c.Read(t.Context(), "COPY missing TO STDOUT", io.Discard)
	expect(t, err, server.Refused, "missing")
	_, err = c.Load(t.Context(), loadU, strings.NewReader("no rows at all, to be sure"))
	expect(t, err, server.Refused, "COPY file signature")
	if loaded, err := c.Load(t.Context(), "COPY u FROM STDIN", strings.NewReader("7\tx\n")); loaded != 1 || err != nil {
		t.Errorf("the connection is of no more use: %d, %v", loaded, err)
	}
}

// terminate ends the session that runs a statement, once it runs.
func terminate(t *testing.T, database *pgtest.Database, like string) {
	t.Helper()
	for range 200 {
		// It is gone when this is answered.
		ended := database.Ask("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '" +
			like + "' AND pid <> pg_backend_pid()")
		if ended == "t" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the statement did not come to run")
}

// slow gives a piece of data, and then nothing until it is closed.
type slow struct {
	data []byte
	end  chan struct{}
}

func (s *slow) Read(into []byte) (int, error) {
	if len(s.data) == 0 {
		<-s.end
		return 0, errors.New("closed")
	}
	n := copy(into, s.data)
	s.data = s.data[n:]
	return n, nil
}

func (s *slow) Write(data []byte) (int, error) {
	<-s.end
	return len(data), nil
}

func TestASessionThatIsEndedIsLost(t *testing.T) {
	cluster, database := filled(t, "lost")
	for name, use := range map[string]func(c server.Connection, s *slow) error{
		"read": func(c server.Connection, s *slow) error {
			_, err := c.Read(t.Context(), readT, s)
			return err
		},
		"load": func(c server.Connection, s *slow) error {
			_, err := c.Load(t.Context(), loadU, s)
			return err
		},
		"sleep": func(c server.Connection, _ *slow) error {
			_, err := c.Exec(t.Context(), "SELECT pg_sleep(60)")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, cluster.Server("lost"))
			s := &slow{data: []byte("PGCOPY\n\xff\r\n\x00"), end: make(chan struct{})}
			ended := make(chan error)
			go func() { ended <- use(c, s) }()
			statement := map[string]string{"read": readT, "load": loadU, "sleep": "SELECT pg_sleep%"}[name]
			terminate(t, database, statement)
			close(s.end)
			expect(t, <-ended, server.Lost, "")
			_, err := c.Exec(t.Context(), "SELECT 1")
			expect(t, err, server.Lost, "")
		})
	}
	if left := database.Ask("SELECT count(*) FROM u"); left != "0" {
		t.Error(left)
	}
}

func TestACancelledStatementEndsOnTheServer(t *testing.T) {
	cluster, database := filled(t, "cancelled")
	for name, use := range map[string]func(ctx context.Context, c server.Connection, s *slow) error{
		"load": func(ctx context.Context, c server.Connection, s *slow) error {
			_, err := c.Load(ctx, loadU, s)
			return err
		},
		"sleep": func(ctx context.Context, c server.Connection, _ *slow) error {
			_, err := c.Exec(ctx, "SELECT pg_sleep(60)")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			to := cluster.Server("cancelled")
			to.ApplicationName = "cancelled " + name
			c := connect(t, to)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			s := &slow{data: []byte("PGCOPY\n\xff\r\n\x00"), end: make(chan struct{})}
			go func() {
				<-ctx.Done()
				time.Sleep(50 * time.Millisecond)
				close(s.end)
			}()
			began := time.Now()
			if err := use(ctx, c, s); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			c.Close()
			for range 100 {
				if database.Ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cancelled "+name+"'") == "0" {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Error("the session is still there")
		})
	}
}
