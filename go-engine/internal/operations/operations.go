// SPDX-License-Identifier: GPL-3.0-or-later

package operations

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/meter"
	"migration.assistant/engine/internal/wire"
)

// Operation is one kind of job.
type Operation struct {
	// Name is the operation's in the protocol.
	Name string
	// Prepare checks the parameters and returns the work, or a Failure of code bad_job.
	Prepare func(parameters *wire.Object) (Work, error)
	// Capabilities are optional abilities and library versions that hello tells; may be nil.
	Capabilities map[string]any
	// CountsRows adds rows_copied and rows_per_second to the performance figures.
	CountsRows bool
}

// Work does the job. The statistics are encoded as a JSON object, also when there is an error; nil leaves them out.
type Work func(ctx context.Context, session *Session) (statistics any, err error)

// Session is one job at work.
type Session struct {
	*wire.Emitter
	Meter  *meter.Meter
	DryRun bool
	// Version is the engine's.
	Version string
	// Line is the job as it was received.
	Line []byte
	// Near is the engine from which the job came over a connection; nil for none.
	Near *far.Peer
	// Elsewhere is set while the job runs on another host: its signs of life and its figures are that one's.
	Elsewhere atomic.Bool
	// Figures are the performance that another host told of the job; nil for that of this process.
	Figures any

	mutex        sync.Mutex
	firstPath    wire.Path
	firstMessage string
}

// EntryFailed emits a warning about an entry that failed, and counts it.
func (s *Session) EntryFailed(code, message string, path wire.Path) {
	s.mutex.Lock()
	// The first by path and not by time, so that the same tree always gives the same message.
	if s.Meter.ErrorCount.Add(1) == 1 || path < s.firstPath {
		s.firstPath, s.firstMessage = path, message
	}
	s.mutex.Unlock()
	s.Warning(code, message, path)
}

// Again begins a further try of the job, in which entries that failed may succeed.
func (s *Session) Again() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.firstPath, s.firstMessage = "", ""
	s.Meter.Again()
}

// PartialFailure gives the failure that ends a job in which entries failed, or nil.
func (s *Session) PartialFailure() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	count := s.Meter.ErrorCount.Load()
	if count == 0 {
		return nil
	}
	entries := "entries"
	if count == 1 {
		entries = "entry"
	}
	message := fmt.Sprintf("%d %s failed; the first: %s: %s", count, entries, s.firstPath, s.firstMessage)
	return &wire.Failure{Code: wire.PartialFailure, Message: message}
}

// Registry holds the operations of this engine.
type Registry []Operation

// Find gives the operation of that name.
func (r Registry) Find(name string) (Operation, error) {
	for _, operation := range r {
		if operation.Name == name {
			return operation, nil
		}
	}
	return Operation{}, wire.Fail(wire.UnsupportedOperation, "the Go engine cannot do %s here; it can do: %s",
		name, strings.Join(r.Names(), ", "))
}

// Names gives the names of all operations.
func (r Registry) Names() []string {
	names := make([]string, 0, len(r))
	for _, operation := range r {
		names = append(names, operation.Name)
	}
	return names
}

// Capabilities gives those of all operations.
func (r Registry) Capabilities() map[string]any {
	all := map[string]any{}
	for _, operation := range r {
		for name, value := range operation.Capabilities {
			all[name] = value
		}
	}
	return all
}
