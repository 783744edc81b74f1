// SPDX-License-Identifier: GPL-3.0-or-later

package runner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/meter"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// longestJob bounds the job line: more would be an error of the sender.
const longestJob = 256 << 20

// Hello gives what the engine says of itself.
func Hello(version string, registry operations.Registry) wire.Hello {
	return wire.Hello{
		Version:      version,
		Platform:     runtime.GOOS + "-" + runtime.GOARCH,
		Operations:   registry.Names(),
		Capabilities: registry.Capabilities(),
	}
}

// Run carries out the one job on input, with its events on output, and tells whether it ended with a result.
func Run(version string, registry operations.Registry, input io.Reader, output io.Writer) bool {
	return run(version, registry, input, output, nil)
}

// run is Run for a job that came over a connection from near, if that is not nil.
func run(version string, registry operations.Registry, input io.Reader, output io.Writer, near *far.Peer) bool {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	emitter := wire.NewEmitter(output, func(err error) {
		cancel(wire.Fail(wire.Cancelled, "unable to write events: %w", err))
	})
	emitter.Hello(Hello(version, registry))
	defer watchSignals(cancel)()

	session := &operations.Session{Emitter: emitter, Meter: meter.New(), Version: version, Near: near}
	lines := bufio.NewReader(input)
	job, operation, work, err := receive(lines, registry, session)
	if err != nil {
		emitter.Error(asFailure(ctx, err), false, nil, session.Meter.Performance(false))
		return false
	}
	session.DryRun = job.DryRun
	if job.Lifeline {
		go watchLifeline(lines, cancel)
	}
	if job.Timeout > 0 {
		timer := time.AfterFunc(job.Timeout, func() {
			cancel(wire.Fail(wire.Timeout, "the job took longer than its limit of %g seconds",
				job.Timeout.Seconds()))
		})
		defer timer.Stop()
	}
	defer watchMemory(job, session.Meter, cancel)()
	statistics, err := carryOut(ctx, job, session, work)
	var performance any = session.Meter.Performance(operation.CountsRows)
	if session.Figures != nil {
		performance = session.Figures
	}
	changed := emitter.Changes() > 0
	failpoint.Hit("before_result")
	if err != nil {
		emitter.Error(asFailure(ctx, err), changed, statistics, performance)
		return false
	}
	emitter.Result(job.Operation, changed, statistics, performance)
	return true
}

func receive(lines *bufio.Reader, registry operations.Registry, session *operations.Session) (*wire.Job, operations.Operation, operations.Work, error) {
	none := operations.Operation{}
	line, err := readLine(lines)
	if err != nil {
		return nil, none, nil, err
	}
	session.Line = line
	job, err := wire.DecodeJob(line)
	if err != nil {
		return nil, none, nil, err
	}
	operation, err := registry.Find(job.Operation)
	if err != nil {
		return nil, none, nil, err
	}
	work, err := operation.Prepare(job.Parameters)
	return job, operation, work, err
}

func readLine(lines *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil || errors.Is(err, io.EOF):
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, wire.Fail(wire.BadJob, "unable to read the job: %w", err)
		case len(line) > longestJob:
			return nil, wire.Fail(wire.BadJob, "the job is longer than %d bytes", longestJob)
		}
	}
}

// carryOut does the work with progress and samples around it; a panic becomes an error, since a job must always
// end with a terminal event.
func carryOut(ctx context.Context, job *wire.Job, session *operations.Session, work operations.Work) (statistics any, err error) {
	defer giveSignsOfLife(job, session)()
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", problem, debug.Stack())
			err = wire.Fail(wire.Internal, "internal error: %v", problem)
		}
	}()
	return work(ctx, session)
}

// giveSignsOfLife emits progress and samples until the function that it returns is called.
func giveSignsOfLife(job *wire.Job, session *operations.Session) (stop func()) {
	progress := time.NewTicker(job.ProgressInterval)
	samples := make(<-chan time.Time)
	stopSamples := func() {}
	if job.SampleInterval > 0 {
		ticker := time.NewTicker(job.SampleInterval)
		samples, stopSamples = ticker.C, ticker.Stop
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-progress.C:
				if !session.Elsewhere.Load() {
					session.Progress(session.Meter.Progress())
				}
			case <-samples:
				if !session.Elsewhere.Load() {
					session.Sample(session.Meter.Sample())
				}
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		progress.Stop()
		stopSamples()
	}
}

func watchSignals(cancel context.CancelCauseFunc) (stop func()) {
	// A reader that is gone is noticed by the failing write.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	go func() {
		for range signals {
			cancel(wire.Fail(wire.Cancelled, "the job was cancelled"))
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

func watchLifeline(lines io.Reader, cancel context.CancelCauseFunc) {
	_, _ = io.Copy(io.Discard, lines)
	cancel(wire.Fail(wire.Cancelled, "the job was cancelled"))
}

func asFailure(ctx context.Context, err error) *wire.Failure {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	var failure *wire.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return wire.Fail(wire.IOError, "%w", err)
}
