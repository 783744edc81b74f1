// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"

	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// Operations gives the operations on file trees that this platform can do.
func Operations() []operations.Operation {
	return []operations.Operation{
		{Name: "file_sync", Prepare: prepareSync, Capabilities: map[string]any{
			"hard_links": true, "sparse": true, "specials": true, "xattrs": true,
		}},
		{Name: "file_statistics", Prepare: prepareStatistics},
	}
}

func prepareSync(object *wire.Object) (operations.Work, error) {
	parameters, err := readSyncParameters(object)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, session *operations.Session) (any, error) {
		return synchronize(ctx, session, parameters)
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
