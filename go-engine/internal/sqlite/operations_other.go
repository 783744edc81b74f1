// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !unix

package sqlite

import "migration.assistant/engine/internal/operations"

// Operations gives none: the locks that guard a file which is being built are Unix's.
func Operations() []operations.Operation { return nil }
