// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"migration.assistant/engine/internal/files"
	"migration.assistant/engine/internal/runner"
)

// asEngine makes the test binary behave as the engine's command of that name, for tests that need a process of its own.
const asEngine = "TEST_AS_ENGINE"

func TestMain(m *testing.M) {
	switch os.Getenv(asEngine) {
	case "":
		os.Exit(m.Run())
	case "serve":
		if err := runner.Serve("0.0.0", files.Operations(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if !runner.Run("0.0.0", files.Operations(), os.Stdin, os.Stdout) {
		os.Exit(1)
	}
	os.Exit(0)
}

// engine is an engine at work in a process of its own.
type engine struct {
	t       *testing.T
	command *exec.Cmd
	input   io.WriteCloser
	events  *bufio.Reader
	seen    bytes.Buffer
}

func startEngine(t *testing.T, arguments arguments, prepare func(*exec.Cmd)) *engine {
	t.Helper()
	command := exec.Command(executable(t))
	command.Env = append(os.Environ(), asEngine+"=run")
	command.Stderr = os.Stderr
	if prepare != nil {
		prepare(command)
	}
	input, err := command.StdinPipe()
	must(t, err)
	output, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	started := &engine{t: t, command: command, input: input, events: bufio.NewReader(output)}
	_, err = input.Write(jobLine(arguments))
	must(t, err)
	return started
}

// waitFor reads events up to one that holds the text.
func (e *engine) waitFor(text string) {
	e.t.Helper()
	for {
		line, err := e.events.ReadString('\n')
		e.seen.WriteString(line)
		if err != nil {
			e.t.Fatalf("no %s in %s", text, e.seen.String())
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// end waits for the end, and checks that the exit code fits the terminal event.
func (e *engine) end() *outcome {
	e.t.Helper()
	_, err := e.seen.ReadFrom(e.events)
	must(e.t, err)
	err = e.command.Wait()
	result := readEvents(e.t, &e.seen)
	want := 0
	if result.terminal["event"] == "error" {
		want = 1
	}
	if code := e.command.ProcessState.ExitCode(); code != want {
		e.t.Errorf("the exit code is %d (%v) after %v", code, err, result.terminal)
	}
	return result
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	must(t, err)
	return path
}
