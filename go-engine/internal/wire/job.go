// SPDX-License-Identifier: GPL-3.0-or-later

package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"time"
	"unicode/utf8"
)

// Protocol is the version of the protocol that this engine speaks.
const Protocol = 1

// Job is one job. A Timeout or MemoryLimit (in bytes) of 0 is no limit, a SampleInterval of 0 no samples. GCThreshold is
// in per cent of the limit.
type Job struct {
	ID               string
	Operation        string
	DryRun           bool
	Lifeline         bool
	Timeout          time.Duration
	ProgressInterval time.Duration
	SampleInterval   time.Duration
	MemoryLimit      int64
	GCThreshold      float64
	Parameters       *Object
}

var jobID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// DecodeJob reads the job line. Its error is a Failure of code bad_job. The parameters are only known to be an
// object: the operation reads them, and asks Parameters.Err.
func DecodeJob(line []byte) (*Job, error) {
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0:
		return nil, Fail(BadJob, "no job was given: standard input must hold one line of JSON")
	case !utf8.Valid(line):
		return nil, Fail(BadJob, "the job is not valid UTF-8")
	case !json.Valid(line):
		return nil, Fail(BadJob, "the job is not valid JSON")
	}
	var problem error
	object := newObject("job", line, &problem)
	object.Required("protocol")
	if protocol := object.Integer("protocol", Protocol, 0, math.MaxInt64); protocol != Protocol {
		object.report("job.protocol is %d; this executor speaks %d", protocol, Protocol)
	}
	job := &Job{
		ID:               string(object.RequiredPath("id")),
		Operation:        string(object.RequiredPath("operation")),
		DryRun:           object.Bool("dry_run", false),
		Lifeline:         object.Bool("lifeline", false),
		Timeout:          seconds(object.Number("timeout", 0, false)),
		ProgressInterval: seconds(object.Number("progress_interval", 1, true)),
		SampleInterval:   seconds(object.Number("sample_interval", 5, false)),
		MemoryLimit:      object.Integer("memory_limit", 0, 0, math.MaxInt64),
		GCThreshold:      object.Number("gc_threshold", 80, true),
	}
	if !jobID.MatchString(job.ID) {
		object.Report("id", "must be 1 to 64 letters, digits and hyphens")
	}
	if job.GCThreshold > 100 {
		object.Report("gc_threshold", "must be at most 100")
	}
	object.Required("parameters")
	// The parameters report into their own problem: the operation's, not the job's.
	var parameterProblem error
	job.Parameters = newObject("parameters", orEmpty(object.Raw("parameters")), &parameterProblem)
	if problem == nil {
		problem = parameterProblem
	}
	if err := object.Err(); err != nil {
		return nil, err
	}
	return job, nil
}

func orEmpty(data json.RawMessage) json.RawMessage {
	if data == nil {
		return json.RawMessage("{}")
	}
	return data
}

// seconds caps what a Duration cannot hold; nobody waits for 292 years.
func seconds(value float64) time.Duration {
	if value >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	duration := time.Duration(value * float64(time.Second))
	if duration == 0 && value > 0 {
		return 1
	}
	return duration
}
