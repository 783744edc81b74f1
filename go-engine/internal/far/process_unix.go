// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package far

import (
	"os/exec"
	"syscall"
)

// detach keeps a command out of this process's group: Ctrl-C is for the job, which ends it in good order.
func detach(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
