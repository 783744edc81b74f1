// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asEngine makes the test binary behave as the engine.
const asEngine = "TEST_AS_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(asEngine) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runEngine(t *testing.T, input string, arguments ...string) (code int, output, errors string) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(executable, arguments...)
	command.Env = append(os.Environ(), asEngine+"=1")
	command.Stdin = strings.NewReader(input)
	var standardOutput, standardError bytes.Buffer
	command.Stdout, command.Stderr = &standardOutput, &standardError
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), standardOutput.String(), standardError.String()
}

func TestUsageErrorsAreTold(t *testing.T) {
	for _, arguments := range [][]string{{}, {"unknown"}, {"run", "more"}} {
		code, output, errors := runEngine(t, "", arguments...)
		if code != 2 || output != "" || !strings.Contains(errors, "usage: migration-engine run | serve | version") {
			t.Errorf("%v gives %d, %q, %q", arguments, code, output, errors)
		}
	}
}

func TestVersionIsHello(t *testing.T) {
	code, output, _ := runEngine(t, "", "version")
	if code != 0 || strings.Count(output, "\n") != 1 || !strings.HasPrefix(output, `{"event":"hello","protocol":1,"executor":"go"`) {
		t.Errorf("version gives %d, %q", code, output)
	}
}

func TestTheExitCodeFollowsTheTerminalEvent(t *testing.T) {
	code, output, _ := runEngine(t, "nonsense\n", "run")
	if code != 1 || !strings.Contains(output, `{"event":"error","code":"bad_job"`) {
		t.Errorf("run gives %d, %q", code, output)
	}
}
