// SPDX-License-Identifier: GPL-3.0-or-later

package runner_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/runner"
	"migration.assistant/engine/internal/wire"
)

// registryOf makes an operation of a function.
func registryOf(work operations.Work) operations.Registry {
	return operations.Registry{{
		Name:         "work",
		Capabilities: map[string]any{"ability": true},
		CountsRows:   true,
		Prepare: func(parameters *wire.Object) (operations.Work, error) {
			parameters.Integer("number", 0, 0, 9)
			return work, parameters.Err()
		},
	}}
}

type event = map[string]any

// run gives the events of a job, which are written to a pipe as an engine's are.
func run(t *testing.T, work operations.Work, job string) (bool, []event) {
	t.Helper()
	input, output := io.Pipe()
	ended := make(chan bool)
	go func() {
		done := runner.Run("1.2.3", registryOf(work), strings.NewReader(job), output)
		_ = output.Close()
		ended <- done
	}()
	events := []event{}
	for lines := bufio.NewScanner(input); lines.Scan(); {
		one := event{}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		events = append(events, one)
	}
	return <-ended, events
}

func jobWith(more string) string {
	return `{"protocol":1,"id":"a","operation":"work","parameters":{}` + more + "}\n"
}

func TestHelloComesBeforeTheJobIsRead(t *testing.T) {
	jobInput, job := io.Pipe()
	eventInput, events := io.Pipe()
	go func() {
		runner.Run("1.2.3", registryOf(nil), jobInput, events)
		_ = events.Close()
	}()
	lines := bufio.NewReader(eventInput)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"event":"hello","protocol":1,"executor":"go","version":"1.2.3"`, `"operations":["work"]`, `{"ability":true}`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	_ = job.Close()
	if line, _ = lines.ReadString('\n'); !strings.Contains(line, `"code":"bad_job"`) {
		t.Errorf("the next event is %s", line)
	}
}

func TestResultTellsWhetherAnythingWasChanged(t *testing.T) {
	for _, changes := range []bool{false, true} {
		done, events := run(t, func(_ context.Context, session *operations.Session) (any, error) {
			if changes {
				session.Change("create", "table", "t\xff", nil, nil)
			}
			session.Meter.RowsCopied.Add(3)
			return map[string]int{"tables": 1, "größe": 2}, nil
		}, jobWith(""))
		last := events[len(events)-1]
		if !done || last["event"] != "result" || last["operation"] != "work" || last["changed"] != changes {
			t.Errorf("the terminal event is %v", last)
		}
		if statistics := last["statistics"].(event); statistics["tables"] != 1.0 || statistics["größe"] != 2.0 {
			t.Errorf("the statistics are %v", statistics)
		}
		performance := last["performance"].(event)
		if performance["rows_copied"] != 3.0 || performance["memory_usage_bytes"].(float64) < 1<<20 {
			t.Errorf("the performance is %v", performance)
		}
	}
}

func TestErrorsBecomeTerminalEvents(t *testing.T) {
	for name, test := range map[string]struct {
		work          operations.Work
		code, message string
		resumable     bool
	}{
		"failure": {func(context.Context, *operations.Session) (any, error) {
			return nil, wire.Fail(wire.NotADatabase, "no: %w", errors.New("why")).At("path")
		}, "not_a_database", "no: why", false},
		"other": {func(context.Context, *operations.Session) (any, error) {
			return nil, errors.New("broken")
		}, "io_error", "broken", true},
		"panic": {func(context.Context, *operations.Session) (any, error) { panic("defect") },
			"internal", "internal error: defect", false},
		"entries": {func(_ context.Context, session *operations.Session) (any, error) {
			session.EntryFailed("io_error", "second", "b")
			session.EntryFailed("io_error", "first", "a")
			return nil, session.PartialFailure()
		}, "partial_failure", "2 entries failed; the first: a: first", true},
	} {
		done, events := run(t, test.work, jobWith(""))
		last := events[len(events)-1]
		if done || last["event"] != "error" || last["code"] != test.code || last["message"] != test.message || last["resumable"] != test.resumable {
			t.Errorf("%s: the terminal event is %v", name, last)
		}
	}
}

func TestTheTimeLimitCancels(t *testing.T) {
	wait := func(ctx context.Context, _ *operations.Session) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, events := run(t, wait, jobWith(`,"timeout":0.05,"progress_interval":0.01,"sample_interval":0.01`))
	kinds := map[any]int{}
	for _, event := range events {
		kinds[event["event"]]++
	}
	last := events[len(events)-1]
	if last["code"] != "timeout" || kinds["progress"] == 0 || kinds["sample"] == 0 {
		t.Errorf("the events are %v, the last %v", kinds, last)
	}
}

func TestTheEndOfTheLifelineCancels(t *testing.T) {
	wait := func(ctx context.Context, _ *operations.Session) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if _, events := run(t, wait, jobWith(`,"lifeline":true`)); events[len(events)-1]["code"] != "cancelled" {
		t.Errorf("the events are %v", events)
	}
}

func TestChangesAreSeenSoon(t *testing.T) {
	input, output := io.Pipe()
	release := make(chan struct{})
	go func() {
		runner.Run("1", registryOf(func(_ context.Context, session *operations.Session) (any, error) {
			session.Warning("some_code", "text", "")
			<-release
			return nil, nil
		}), strings.NewReader(jobWith("")), output)
		_ = output.Close()
	}()
	lines := bufio.NewScanner(input)
	lines.Scan()
	if lines.Scan(); !strings.Contains(lines.Text(), "some_code") {
		t.Errorf("the event is %s", lines.Text())
	}
	close(release)
	for lines.Scan() {
		continue
	}
}
