// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/wire"
)

// cancelPatience is how long a job on another host may take to end once it is no longer wanted.
const cancelPatience = 15 * time.Second

// strayJob is how long a job may go on, and keep its destination locked, whose near end was killed.
const strayJob = 5 * time.Second

// push lets the engine on the destination's host do the job, and answers what that asks of the source, which is here.
// The job's events are those of the other engine.
func push(ctx context.Context, session *operations.Session, parameters *syncParameters) (any, error) {
	job, err := farJob(session.Line, parameters)
	if err != nil {
		return nil, err
	}
	session.Elsewhere.Store(true)
	host, err := far.Dial(ctx, session.Version, parameters.far.dialing(session))
	if err != nil {
		return nil, err
	}
	parameters.far.connected = true
	defer host.Close()
	trees := origin.NewServer(&origin.Offer{
		Root: parameters.source, Filters: parameters.filters, Followed: parameters.followSymlinks,
		Cache: parameters.cache.For(session.DryRun),
	})
	defer trees.Close()
	host.Accept(func(kind far.Kind, stream io.ReadWriteCloser) {
		if kind == far.Data {
			trees.Serve(stream)
			return
		}
		_ = stream.Close() // this end takes no jobs
	})
	stream, err := host.Open(far.Job)
	if err == nil {
		_, err = stream.Write(job)
	}
	if err != nil {
		return nil, lostHost(host, err)
	}
	// The end of the stream is the end of the job's lifeline.
	defer context.AfterFunc(ctx, func() {
		_ = stream.Close()
		time.AfterFunc(cancelPatience, host.Close)
	})()
	statistics, err := relay(session, stream)
	if err != nil && ctx.Err() != nil {
		return statistics, ctx.Err() // why this end stopped it, in place of what the other made of that
	}
	if isLost(err) {
		return statistics, lostHost(host, far.ErrLost)
	}
	return statistics, err
}

// farJob makes the job of the other engine from this one's: its source is where it comes from.
func farJob(line []byte, parameters *syncParameters) ([]byte, error) {
	var job, given map[string]json.RawMessage
	if err := json.Unmarshal(line, &job); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(job["parameters"], &given); err != nil {
		return nil, err
	}
	side, err := json.Marshal(map[string]any{
		"side": "source", "name": "the source's host",
		"numeric_ids":        parameters.far.numericIDs,
		"stream_buffer_size": parameters.far.buffer, "stream_buffers": parameters.far.buffers,
		"compression": parameters.far.compression.Codec, "compression_level": parameters.far.compression.Level,
		// An earlier job whose near end was killed needs a moment to find that out.
		"lock_timeout": max(parameters.far.lockTimeout, strayJob).Seconds(),
	})
	if err != nil {
		return nil, err
	}
	given["far"], job["lifeline"] = side, json.RawMessage("true")
	if job["parameters"], err = json.Marshal(given); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(job)
	return append(encoded, '\n'), err
}

// relay emits the events of a job on another host as this one's, and gives the outcome of the last.
func relay(session *operations.Session, stream io.Reader) (any, error) {
	lines := bufio.NewReaderSize(stream, 256<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, errors.Join(far.ErrLost, err)
		}
		var event struct {
			Event       string          `json:"event"`
			Code        string          `json:"code"`
			Message     string          `json:"message"`
			Path        wire.Path       `json:"path"`
			Statistics  json.RawMessage `json:"statistics"`
			Performance json.RawMessage `json:"performance"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, wire.Fail(wire.Internal, "the other engine sent an event that is no JSON: %w", err)
		}
		switch event.Event {
		case "hello":
		case "result", "error":
			session.Figures = withRetryCount(event.Performance, session.Meter.RetryCount.Load())
			var statistics any
			if event.Statistics != nil {
				statistics = event.Statistics
			}
			if event.Event == "error" {
				failure := &wire.Failure{Code: event.Code, Message: event.Message, Path: event.Path}
				return statistics, failure
			}
			return statistics, nil
		default:
			session.Relay(line, event.Event == "change")
		}
	}
}

// withRetryCount adds the tries of this end to the performance that the other one tells.
func withRetryCount(performance json.RawMessage, tries int64) any {
	figures := map[string]any{}
	if json.Unmarshal(performance, &figures) != nil {
		return performance
	}
	counted, _ := figures["retry_count"].(float64)
	figures["retry_count"] = int64(counted) + tries
	return figures
}
