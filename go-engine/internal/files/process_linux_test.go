// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// runAsNobody runs a job without root's rights.
func runAsNobody(t *testing.T, arguments arguments) *outcome {
	t.Helper()
	needRoot(t)
	binary := filepath.Join(t.TempDir(), "engine")
	content, err := os.ReadFile(executable(t))
	must(t, err)
	must(t, os.WriteFile(binary, content, 0o755))
	openUp(t, binary)
	started := startEngine(t, arguments, func(command *exec.Cmd) {
		command.Path = binary
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	must(t, started.input.Close())
	return started.end()
}

const nobody = 65534

// openUp lets everybody reach a path.
func openUp(t *testing.T, path string) {
	t.Helper()
	for parent := filepath.Dir(path); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		must(t, os.Chmod(parent, 0o755))
	}
}
