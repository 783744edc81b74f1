// SPDX-License-Identifier: GPL-3.0-or-later

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"migration.assistant/engine/internal/server"
)

// cancelWait is how long the server has to answer once a statement is cancelled, before the connection is given up.
const cancelWait = 5 * time.Second

// Driver connects to PostgreSQL.
type Driver struct{}

// Connect logs in, and runs the session's statements.
func (Driver) Connect(ctx context.Context, to *server.Server) (server.Connection, error) {
	config, err := configure(to)
	if err != nil {
		return nil, err
	}
	session, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, connectFailure(ctx, err)
	}
	c := &connection{session: session}
	for _, statement := range to.Session {
		if _, err := c.Exec(ctx, statement); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Literal quotes a text so that it reads the same whatever standard_conforming_strings says.
func (Driver) Literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// clearEnvironment lets the job alone say how to connect: libpq's variables could add options or name another service.
// Where a password file is named, it stays so.
func clearEnvironment() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PG") && name != "PGPASSFILE" {
			_ = os.Unsetenv(name)
		}
	}
}

// configure makes the library's configuration. The password is no part of what is parsed, so that no message about
// that can hold it; without one, that of the user's password file is taken.
func configure(to *server.Server) (*pgconn.Config, error) {
	clearEnvironment()
	settings := []string{
		"host=" + quote(to.Host), "port=" + strconv.Itoa(to.Port), "user=" + quote(to.User),
		"dbname=" + quote(to.Database), "sslmode=" + quote(to.TLS.Mode),
	}
	for name, path := range map[string]string{
		"sslrootcert": to.TLS.RootCertificate, "sslcert": to.TLS.Certificate, "sslkey": to.TLS.Key,
	} {
		if path != "" {
			settings = append(settings, name+"="+quote(path))
		}
	}
	config, err := pgconn.ParseConfig(strings.Join(settings, " "))
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return nil, &server.Error{Trouble: server.Refused, Message: oneLine(err.Error()), Cause: err}
	}
	if to.HasPassword {
		config.Password = to.Password
	}
	config.RuntimeParams = map[string]string{"application_name": to.ApplicationName, "client_encoding": "UTF8"}
	config.ConnectTimeout = to.ConnectTimeout
	// A server that is gone without a word is noticed within two minutes.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 6,
	}}
	config.DialFunc = dialer.DialContext
	config.BuildContextWatcherHandler = func(session *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: session, DeadlineDelay: cancelWait}
	}
	return config, nil
}

// quote makes one value of a connection string.
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// connectFailure tells why a login failed, of several attempts (with TLS and without) what the first one came to.
func connectFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answered(answer)
	}
	found := &server.Error{Trouble: server.Refused, Message: oneLine(rootCause(err).Error()), Cause: err}
	var unknown *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &unknown):
		found.Trouble, found.Message = server.Lost, fmt.Sprintf("the name %s cannot be resolved: %s", unknown.Name, unknown.Err)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		found.Trouble, found.Message = server.Lost, "no answer within the time for connecting"
	case isNetwork(err):
		found.Trouble = server.Lost
	}
	return found
}
