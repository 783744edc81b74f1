// SPDX-License-Identifier: GPL-3.0-or-later

package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/wire"
)

const goodJob = `{"protocol":1,"id":"a-1","operation":"x","parameters":{"text":"\udcff","number":3,"list":[{"flag":true}]}}`

func TestJobIsRead(t *testing.T) {
	job, err := wire.DecodeJob([]byte(goodJob))
	if err != nil {
		t.Fatal(err)
	}
	if job.ID != "a-1" || job.Operation != "x" || job.ProgressInterval != time.Second || job.SampleInterval != 5*time.Second {
		t.Errorf("read %+v", job)
	}
	parameters := job.Parameters
	if text := parameters.Path("text", ""); text != "\xff" {
		t.Errorf("text is %q", text)
	}
	if number := parameters.Integer("number", 0, 1, 3); number != 3 {
		t.Errorf("number is %d", number)
	}
	for _, object := range parameters.Objects("list") {
		if !object.Bool("flag", false) {
			t.Error("flag is false")
		}
	}
	if err := parameters.Err(); err != nil {
		t.Error(err)
	}
}

func TestBadJobsAreRefusedByName(t *testing.T) {
	for line, want := range map[string]string{
		``:           "no job",
		`{`:          "not valid JSON",
		`[]`:         "job must be an object",
		"\"\xff\"":   "not valid UTF-8",
		`{}`:         "lacks the key protocol",
		`{"id":"a"}`: "lacks the key protocol",
		`{"protocol":2,"id":"a","operation":"x","parameters":{}}`:                         "job.protocol is 2",
		`{"protocol":"1","id":"a","operation":"x","parameters":{}}`:                       "job.protocol must be an integer",
		`{"protocol":1,"id":"a b","operation":"x","parameters":{}}`:                       "job.id",
		`{"protocol":1,"id":"","operation":"x","parameters":{}}`:                          "job.id",
		`{"protocol":1,"id":"a","operation":7,"parameters":{}}`:                           "job.operation must be a string",
		`{"protocol":1,"id":"a","operation":"x"}`:                                         "lacks the key parameters",
		`{"protocol":1,"id":"a","operation":"x","parameters":null}`:                       "parameters must be an object",
		`{"protocol":1,"id":"a","operation":"x","parameters":{},"dryrun":true}`:           "unknown key dryrun",
		`{"protocol":1,"id":"a","operation":"x","parameters":{},"Dry_run":true}`:          "unknown key Dry_run",
		`{"protocol":1,"id":"a","operation":"x","parameters":{},"dry_run":1}`:             "job.dry_run must be true or false",
		`{"protocol":1,"id":"a","operation":"x","parameters":{},"timeout":-1}`:            "job.timeout is -1",
		`{"protocol":1,"id":"a","operation":"x","parameters":{},"progress_interval":0}`:   "job.progress_interval is 0",
		`{"protocol":1,"id":"a","operation":"x","parameters":{},"progress_interval":"1"}`: "job.progress_interval must be",
	} {
		_, err := wire.DecodeJob([]byte(line))
		var failure *wire.Failure
		if !errors.As(err, &failure) || failure.Code != wire.BadJob || !strings.Contains(failure.Message, want) {
			t.Errorf("%s gives %v, not %q", line, err, want)
		}
	}
}

func TestBadParametersAreRefusedByName(t *testing.T) {
	for parameters, want := range map[string]string{
		`{"number":0}`:                 "parameters.number is 0; it must be an integer from 1 to 3",
		`{"number":1.5}`:               "parameters.number must be",
		`{"number":true}`:              "parameters.number must be",
		`{"number":99999999999999999}`: "parameters.number is",
		`{"text":7}`:                   "parameters.text must be a string",
		`{"list":{}}`:                  "parameters.list must be a list",
		`{"list":[7]}`:                 "parameters.list[0] must be an object",
		`{"list":[{},{"flag":0}]}`:     "parameters.list[1].flag must be",
		`{"list":[{"falg":true}]}`:     "parameters.list[0] has the unknown key falg",
		`{"other":1}`:                  "parameters has the unknown key other; known are list, number, text",
	} {
		job, err := wire.DecodeJob([]byte(`{"protocol":1,"id":"a","operation":"x","parameters":` + parameters + `}`))
		if err != nil {
			t.Fatal(err)
		}
		job.Parameters.Path("text", "")
		job.Parameters.Integer("number", 1, 1, 3)
		for _, object := range job.Parameters.Objects("list") {
			object.Bool("flag", false)
		}
		if err := job.Parameters.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, not %q", parameters, err, want)
		}
	}
}

func FuzzDecodeJob(f *testing.F) {
	f.Add([]byte(goodJob))
	f.Add([]byte(`{"protocol":1,"id":"a","operation":"file_sync","parameters":{"source":"/a\udc80","filters":[{}]}}`))
	f.Add([]byte(`{"timeout":1e308}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		job, err := wire.DecodeJob(line)
		var failure *wire.Failure
		if err != nil {
			if !errors.As(err, &failure) || failure.Code != wire.BadJob || failure.Message == "" {
				t.Fatalf("%q gives %v", line, err)
			}
			return
		}
		if job.ID == "" || job.Parameters == nil || job.Timeout < 0 || job.ProgressInterval <= 0 || job.SampleInterval < 0 {
			t.Fatalf("%q is read %+v", line, job)
		}
		job.Parameters.Path("source", "")
		job.Parameters.Paths("names")
		job.Parameters.Objects("filters")
		_ = job.Parameters.Err()
	})
}
