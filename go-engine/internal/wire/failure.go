// SPDX-License-Identifier: GPL-3.0-or-later

package wire

import (
	"errors"
	"fmt"
)

// Codes of the terminal event error; some also stand in warnings about single entries.
const (
	BadJob                = "bad_job"
	UnsupportedOperation  = "unsupported_operation"
	SourceMissing         = "source_missing"
	SourceNotDirectory    = "source_not_directory"
	DestinationNotDir     = "destination_not_directory"
	PathsOverlap          = "paths_overlap"
	DestinationUnwritable = "destination_unwritable"
	DestinationBusy       = "destination_busy"
	MaxDeleteExceeded     = "max_delete_exceeded"
	DiskFull              = "disk_full"
	PartialFailure        = "partial_failure"
	VerificationFailed    = "verification_failed"
	Cancelled             = "cancelled"
	Timeout               = "timeout"
	MemoryExceeded        = "memory_exceeded"
	IOError               = "io_error"
	Unreachable           = "unreachable"
	AccessDenied          = "access_denied"
	SnapshotLost          = "snapshot_lost"
	NotADatabase          = "not_a_database"
	DatabaseError         = "database_error"
	SourceChanged         = "source_changed"
	NameClash             = "name_clash"
	ManifestInvalid       = "manifest_invalid"
	ArchiveInvalid        = "archive_invalid"
	ArchiveUnsafe         = "archive_unsafe"
	ArchiveTooLarge       = "archive_too_large"
	Internal              = "internal"
)

// Failure is an error that the protocol can tell: it ends a job, with a code, one clear line and, where one is
// concerned, a path.
type Failure struct {
	Code    string
	Message string
	Path    Path
	Cause   error
}

// Fail makes a Failure; %w keeps the cause.
func Fail(code, format string, arguments ...any) *Failure {
	err := fmt.Errorf(format, arguments...)
	return &Failure{Code: code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// At names the path that the failure concerns.
func (f *Failure) At(path Path) *Failure {
	f.Path = path
	return f
}

// Resumable says whether a rerun goes on from what is done.
func (f *Failure) Resumable() bool {
	switch f.Code {
	case Cancelled, Timeout, MemoryExceeded, DiskFull, PartialFailure, SourceChanged, DatabaseError, IOError, Unreachable,
		SnapshotLost:
		return true
	}
	return false
}

func (f *Failure) Error() string { return f.Message }

func (f *Failure) Unwrap() error { return f.Cause }
