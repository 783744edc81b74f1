// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"os"
	"strings"
)

// Machine names what this process sees: equal for two processes only where the same path is the same file. It is empty
// where that is not known.
func Machine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + namespace
}
