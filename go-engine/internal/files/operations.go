// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// Operations gives the operations on file trees that this platform can do.
func Operations() []operations.Operation {
	all := []operations.Operation{
		{Name: "file_sync", Prepare: prepareSync, Capabilities: map[string]any{
			"hard_links": true, "sparse": true, "specials": fsys.KeepsSpecials, "xattrs": fsys.KeepsAttributes,
		}},
		{Name: "file_statistics", Prepare: prepareStatistics},
		{Name: "file_checksum", Prepare: prepareChecksum, Capabilities: checksumCapabilities()},
	}
	if fsys.KeepsModes {
		all = append(all, operations.Operation{Name: "file_archive", Prepare: prepareArchive, Capabilities: archiveCapabilities()})
	}
	return all
}

func prepareSync(object *wire.Object) (operations.Work, error) {
	parameters, err := readSyncParameters(object)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		work := synchronize
		if parameters.far.side == "destination" {
			work = push
		}
		return withRetries(ctx, session, parameters, work)
	}, nil
}

func prepareStatistics(object *wire.Object) (operations.Work, error) {
	parameters, err := readStatisticsParameters(object)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		return gatherStatistics(ctx, session, parameters)
	}, nil
}

func prepareChecksum(object *wire.Object) (operations.Work, error) {
	parameters, err := readChecksumParameters(object)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		return checksum(ctx, session, parameters)
	}, nil
}

// checksumCapabilities are the algorithms that not every executor has.
func checksumCapabilities() map[string]any {
	return map[string]any{"blake3": true, "xxh3": true}
}

func prepareArchive(object *wire.Object) (operations.Work, error) {
	parameters, err := readArchiveParameters(object)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		return archive(ctx, session, parameters)
	}, nil
}

// archiveCapabilities are the formats that not every executor has.
func archiveCapabilities() map[string]any {
	return map[string]any{"zstd": true, "lz4": true, "brotli": true}
}
