// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"os"

	"migration.assistant/engine/internal/fsys"
)

// Machine names what this process sees: equal for two processes only where the same path is the same file. It is empty
// where that is not known.
func Machine() string {
	boot := fsys.BootID()
	namespace, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil || boot == "" {
		return ""
	}
	return boot + " " + namespace
}
