// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"os"
	"strings"
	"sync"
)

// BootID names this run of the system, "" where that is not known: what was written and not flushed may not outlive it.
var BootID = sync.OnceValue(func() string {
	if content, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		return strings.TrimSpace(string(content))
	}
	return bootSession()
})
