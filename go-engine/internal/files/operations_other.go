// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux

package files

import "migration.assistant/engine/internal/operations"

// Operations gives the operations on file trees that this platform can do: none but Linux can yet.
func Operations() []operations.Operation { return nil }
