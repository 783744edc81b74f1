// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"migration.assistant/engine/internal/files"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/runner"
	"migration.assistant/engine/internal/wire"
)

// object is a JSON object.
type object = map[string]any

// outcome is what a job said.
type outcome struct {
	t        *testing.T
	events   []object
	terminal object
}

// arguments make a job; parameters of file_sync unless operation says otherwise.
type arguments struct {
	operation  string
	parameters object
	job        object
}

func jobLine(arguments arguments) []byte {
	job := object{"protocol": 1, "id": "test", "operation": "file_sync", "parameters": arguments.parameters}
	if arguments.operation != "" {
		job["operation"] = arguments.operation
	}
	for name, value := range arguments.job {
		job[name] = value
	}
	line, err := json.Marshal(job)
	if err != nil {
		panic(err)
	}
	return append(line, '\n')
}

func runJob(t *testing.T, arguments arguments) *outcome {
	t.Helper()
	var output bytes.Buffer
	ended := runner.Run("0.0.0", files.Operations(), bytes.NewReader(jobLine(arguments)), &output)
	result := readEvents(t, &output)
	if ended != (result.terminal["event"] == "result") {
		t.Errorf("the run gives %v after %v", ended, result.terminal)
	}
	return result
}

func readEvents(t *testing.T, output io.Reader) *outcome {
	t.Helper()
	result := &outcome{t: t}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		event := object{}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		for _, c := range lines.Bytes() {
			if c >= 0x80 {
				t.Fatalf("the event is not ASCII: %s", lines.Bytes())
			}
		}
		if event["event"] == "change" {
			event["path"] = rawPath(t, lines.Bytes())
		}
		result.events = append(result.events, event)
	}
	if len(result.events) < 2 || result.events[0]["event"] != "hello" {
		t.Fatalf("the events are %v", result.events)
	}
	result.terminal = result.events[len(result.events)-1]
	for _, event := range result.events[:len(result.events)-1] {
		if event["event"] == "result" || event["event"] == "error" {
			t.Errorf("a terminal event before the last: %v", event)
		}
	}
	return result
}

func rawPath(t *testing.T, line []byte) string {
	var path struct{ Path wire.Path }
	if err := json.Unmarshal(line, &path); err != nil {
		t.Fatal(err)
	}
	return string(path.Path)
}

// changes gives the changes as "action kind path", sorted.
func (o *outcome) changes() []string {
	changes := []string{}
	for _, event := range o.events {
		if event["event"] == "change" {
			changes = append(changes, fmt.Sprintf("%s %s %s", event["action"], event["kind"], event["path"]))
		}
	}
	slices.Sort(changes)
	return changes
}

// details gives the changes with before and after, sorted.
func (o *outcome) details() []string {
	details := []string{}
	for _, event := range o.events {
		if event["event"] == "change" {
			details = append(details, fmt.Sprint(event))
		}
	}
	slices.Sort(details)
	return details
}

func (o *outcome) change(path string) object {
	o.t.Helper()
	for _, event := range o.events {
		if event["event"] == "change" && event["path"] == path {
			return event
		}
	}
	o.t.Fatalf("no change of %s in %v", path, o.changes())
	return nil
}

// warnings gives those that concern the work, not the platform.
func (o *outcome) warnings() []string {
	warnings := []string{}
	for _, event := range o.events {
		if event["event"] == "warning" && !slices.Contains(platformWarnings, event["code"].(string)) {
			warnings = append(warnings, fmt.Sprintf("%s %v", event["code"], event["path"]))
		}
	}
	slices.Sort(warnings)
	return warnings
}

func (o *outcome) statistic(name string) int {
	statistics, _ := o.terminal["statistics"].(object)
	value, found := statistics[name].(float64)
	if !found {
		o.t.Errorf("no statistic %s in %v", name, o.terminal)
	}
	return int(value)
}

func (o *outcome) expect(changed bool, changes ...string) *outcome {
	o.t.Helper()
	if o.terminal["event"] != "result" || o.terminal["changed"] != changed {
		o.t.Errorf("the terminal event is %v, warnings %v", o.terminal, o.warnings())
	}
	slices.Sort(changes)
	if got := o.changes(); len(changes) > 0 && !reflect.DeepEqual(got, changes) {
		o.t.Errorf("the changes are\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(changes, "\n"))
	}
	return o
}

func (o *outcome) expectError(code string) *outcome {
	o.t.Helper()
	if o.terminal["event"] != "error" || o.terminal["code"] != code {
		o.t.Errorf("the terminal event is %v, not the error %s", o.terminal, code)
	}
	return o
}

// trees are a source and a destination below a temporary directory.
type trees struct {
	t                   *testing.T
	root                string
	source, destination string
}

func newTrees(t *testing.T) *trees {
	t.Helper()
	root := temporaryDirectory(t)
	made := &trees{t: t, root: root, source: filepath.Join(root, "source"), destination: filepath.Join(root, "destination")}
	must(t, os.Mkdir(made.source, 0o755))
	return made
}

func (tr *trees) parameters(more object) object {
	parameters := object{"source": tr.source, "destination": tr.destination}
	for name, value := range more {
		parameters[name] = value
	}
	return parameters
}

func (tr *trees) sync(more object) *outcome {
	tr.t.Helper()
	return runJob(tr.t, arguments{parameters: tr.parameters(more)})
}

// fourWays runs check, real, check again, real again: check says what the run does, and the second run does nothing.
func (tr *trees) fourWays(more object) *outcome {
	t := tr.t
	t.Helper()
	before := describe(t, tr.root)
	check := runJob(t, arguments{parameters: tr.parameters(more), job: object{"dry_run": true}})
	if after := describe(t, tr.root); !reflect.DeepEqual(before, after) {
		t.Errorf("the check changed %v", differing(before, after))
	}
	real := tr.sync(more)
	if !reflect.DeepEqual(check.details(), real.details()) {
		t.Errorf("the check says\n%s\nbut the run does\n%s", strings.Join(check.details(), "\n"), strings.Join(real.details(), "\n"))
	}
	checked, done := check.terminal, real.terminal
	if checked["event"] != done["event"] || !reflect.DeepEqual(checked["statistics"], done["statistics"]) {
		t.Errorf("the check ends with\n%v\nbut the run with\n%v", checked, done)
	}
	if done["event"] == "result" {
		runJob(t, arguments{parameters: tr.parameters(more), job: object{"dry_run": true}}).expect(false)
		tr.sync(more).expect(false)
	}
	return real
}

// same compares the two trees.
func (tr *trees) same() {
	tr.t.Helper()
	if found := differing(describe(tr.t, tr.source), describe(tr.t, tr.destination)); len(found) > 0 {
		tr.t.Errorf("the trees differ: %v", found)
	}
}

// describe gives all that file_sync keeps of a tree, by path; the inodes of hard links stand for their first path.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	first := map[fsys.Identity]string{}
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(root, path)
		relative = filepath.ToSlash(relative)
		described, file, links := metadata(t, path)
		switch {
		case entry.Type().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			size := len(content)
			if size > 200 {
				content = append(content[:100:100], content[size-100:]...)
			}
			described += fmt.Sprintf(" %d %q", size, content)
			if links > 1 {
				if first[file] == "" {
					first[file] = relative
				}
				described += " linked to " + first[file]
			}
		case entry.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			described += " " + target
		}
		found[relative] = described
		return nil
	}))
	return found
}

func differing(one, other map[string]string) []string {
	found := []string{}
	for path, described := range one {
		if other[path] != described {
			found = append(found, fmt.Sprintf("%q: %s -> %s", path, described, other[path]))
		}
	}
	for path := range other {
		if _, known := one[path]; !known {
			found = append(found, fmt.Sprintf("%q is new", path))
		}
	}
	slices.Sort(found)
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// canLink tells whether symbolic links can be made here: Windows may refuse them, and Wine has none.
func canLink(t *testing.T) bool {
	t.Helper()
	path := filepath.Join(temporaryDirectory(t), "link")
	if os.Symlink("target", path) != nil {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// file writes a file below the source, or below the destination with the prefix "destination/".
func (tr *trees) write(path, content string) string {
	tr.t.Helper()
	full := filepath.Join(tr.root, path)
	must(tr.t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(tr.t, os.WriteFile(full, []byte(content), 0o644))
	return full
}

// age gives every entry below a path an old time, so that writes show.
func age(t *testing.T, root string) {
	t.Helper()
	paths := []string{}
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	slices.Reverse(paths)
	for index, path := range paths {
		setModified(t, path, int64(1_000_000_000*time.Second)+100*int64(index))
	}
}

func runWithOutput(parameters object, output io.Writer) bool {
	return runner.Run("0.0.0", files.Operations(), bytes.NewReader(jobLine(arguments{parameters: parameters})), output)
}
