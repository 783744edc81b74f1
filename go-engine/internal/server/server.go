// SPDX-License-Identifier: GPL-3.0-or-later

package server

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Server is how to reach a database. Host is a name, an address or the directory of a Unix socket.
type Server struct {
	Engine          string
	Host            string
	Port            int
	User            string
	Password        string
	HasPassword     bool
	Database        string
	TLS             TLS
	ApplicationName string
	ConnectTimeout  time.Duration // 0: no limit
	Session         []string      // run on each new connection
}

// TLS says whether a connection is encrypted, and what is asked of certificates; the paths may be empty.
type TLS struct {
	Mode            string // as libpq's sslmode
	RootCertificate string
	Certificate     string
	Key             string
}

// Address names the server in messages.
func (s *Server) Address() string {
	if strings.HasPrefix(s.Host, "/") {
		return s.Host + ":" + strconv.Itoa(s.Port)
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Driver makes connections to one kind of server. The errors of a driver and of its connections are a *Error, or the
// context's once that has ended.
type Driver interface {
	Connect(ctx context.Context, to *Server) (Connection, error)
	// Literal gives a text as SQL.
	Literal(text string) string
}

// Connection is one session; only one statement may run at a time.
type Connection interface {
	// Exec runs a statement and tells how many rows it affected.
	Exec(ctx context.Context, sql string) (int64, error)
	// Query gives each row as text, nil for null, valid until each returns. An error of each is returned as it is, and
	// may cost the connection.
	Query(ctx context.Context, sql string, each func(row [][]byte) error) error
	// Read streams rows to a writer in the server's own format, and tells how many. An error of the writer is returned
	// as it is, and costs the connection.
	Read(ctx context.Context, sql string, to io.Writer) (int64, error)
	// Load takes rows that Read gave, and tells how many.
	Load(ctx context.Context, sql string, from io.Reader) (int64, error)
	// Close gives the connection up; what its transaction did is taken back.
	Close()
}

// Trouble says what an error means for what comes next.
type Trouble int

const (
	// Refused is an error of the statement, which would fail again.
	Refused Trouble = iota
	// Lost means that the connection or the server is gone, or cannot be had now; another connection may do.
	Lost
	// Contention is a deadlock or the like: the same transaction may succeed later.
	Contention
	// Conflict means that a row is there which must be unique.
	Conflict
	// Denied means that the login, or the right to do this, was refused.
	Denied
	// Full means that the server has no room left.
	Full
)

// Error is what went wrong with a server, in one line that names no secret.
type Error struct {
	Trouble Trouble
	Message string
	Cause   error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Cause }
