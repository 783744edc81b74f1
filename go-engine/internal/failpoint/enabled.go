// SPDX-License-Identifier: GPL-3.0-or-later

//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

var state = struct {
	sync.Mutex
	name string
	left int
	log  *os.File
}{}

func init() {
	if path := os.Getenv("MIGRATION_FAILPOINT_LOG"); path != "" {
		log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			abort("unable to open MIGRATION_FAILPOINT_LOG: %v", err)
		}
		state.log = log
	}
	setting := os.Getenv("MIGRATION_FAILPOINT")
	if setting == "" {
		return
	}
	name, count, _ := strings.Cut(setting, ":")
	number, err := strconv.Atoi(count)
	if err != nil || number < 1 {
		abort("MIGRATION_FAILPOINT is %q; it must be NAME:N with N of at least 1", setting)
	}
	state.name, state.left = name, number
}

// Hit marks a point at which a crash test may end the process.
func Hit(name string) {
	state.Lock()
	defer state.Unlock()
	if state.log != nil {
		fmt.Fprintln(state.log, name)
	}
	if name != state.name {
		return
	}
	if state.left--; state.left == 0 {
		// Kill and not exit: nothing may be cleaned up.
		process, _ := os.FindProcess(os.Getpid())
		_ = process.Kill()
		select {}
	}
}

func abort(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(2)
}
