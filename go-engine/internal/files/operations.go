// SPDX-License-Identifier: GPL-3.0-or-later

package files

import "migration.assistant/engine/internal/operations"

// Operations gives the operations on file trees that this platform can do.
func Operations() []operations.Operation { return nil }
