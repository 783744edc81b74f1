// SPDX-License-Identifier: GPL-3.0-or-later

// Package operations says what an operation is, so that a package can offer one without knowing the runner.
//
// An operation package has a function that returns its Operation, which cmd/migration-engine lists. Prepare reads
// the parameters through wire.Object, asks its Err, and returns the function that does the work. That function gets
// a Session: it emits changes and warnings, counts into the meter, and looks at the context between items. It
// returns statistics and, if it failed, an error, best a *wire.Failure: the runner emits the terminal event from
// both, adds performance and changed (whether a change was emitted), and turns an error that comes from a
// cancelled context into the cause of the cancelling (cancelled or timeout). A single entry that fails while the
// work goes on is told by Session.EntryFailed; the job then ends with partial_failure.
package operations
