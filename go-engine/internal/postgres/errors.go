// SPDX-License-Identifier: GPL-3.0-or-later

package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"migration.assistant/engine/internal/server"
)

// failure turns what the library says of a statement into a server.Error, or into the context's error if that ended it.
func (c *connection) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	found := &server.Error{Trouble: server.Refused, Message: oneLine(rootCause(err).Error()), Cause: err}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		found = answered(answer)
	}
	if c.session.IsClosed() {
		found.Trouble, c.lost = server.Lost, true
	}
	return found
}

// answered classifies an error that the server told. Its detail and context stay untold, since they quote values.
func answered(answer *pgconn.PgError) *server.Error {
	found := &server.Error{Message: oneLine(answer.Message) + " (SQLSTATE " + answer.Code + ")", Cause: answer}
	switch {
	case isLost(answer.Code):
		found.Trouble = server.Lost
	case answer.Code == "40001" || answer.Code == "40P01": // serialization_failure, deadlock_detected
		found.Trouble = server.Contention
	case answer.Code == "23505" || answer.Code == "23P01": // unique_violation, exclusion_violation
		found.Trouble = server.Conflict
	case strings.HasPrefix(answer.Code, "28") || answer.Code == "42501": // the login; insufficient_privilege
		found.Trouble = server.Denied
	case answer.Code == "53100": // disk_full
		found.Trouble = server.Full
	}
	return found
}

// isLost tells whether the server is going, coming, or has no room for one more connection.
func isLost(code string) bool {
	switch code {
	case "57P01", "57P02", "57P03", // admin_shutdown, crash_shutdown, cannot_connect_now
		"57P05", "25P03", // idle_session_timeout, idle_in_transaction_session_timeout
		"53300": // too_many_connections
		return true
	}
	return strings.HasPrefix(code, "08")
}

func isNetwork(err error) bool {
	var network net.Error
	var system *os.SyscallError
	var operation *net.OpError
	if errors.As(err, &operation) && strings.HasSuffix(operation.Op, " error") {
		return false // an alert of TLS, which another try meets again
	}
	return errors.As(err, &network) || errors.As(err, &system) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed)
}

// rootCause gives the first of the errors at the bottom, whose text repeats neither names nor addresses.
func rootCause(err error) error {
	for {
		var next error
		switch wrapping := err.(type) {
		case interface{ Unwrap() []error }:
			if all := wrapping.Unwrap(); len(all) > 0 {
				next = all[0]
			}
		case interface{ Unwrap() error }:
			next = wrapping.Unwrap()
		}
		if next == nil {
			return err
		}
		err = next
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
