// SPDX-License-Identifier: GPL-3.0-or-later

package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// Object reads the keys of one JSON object. Its methods never fail: the first problem is kept, and Err tells it
// once all keys have been asked for. A key that nobody asked for is a problem too.
type Object struct {
	where    string
	fields   map[string]json.RawMessage
	known    map[string]bool
	children []*Object
	problem  *error
}

func newObject(where string, data []byte, problem *error) *Object {
	object := &Object{where: where, known: map[string]bool{}, problem: problem}
	if !startsWith(data, '{') || json.Unmarshal(data, &object.fields) != nil {
		object.report("%s must be an object", where)
	}
	return object
}

// DecodeObject reads an object that is no part of a job; where names it in messages.
func DecodeObject(where string, data []byte) (*Object, error) {
	var problem error
	object := newObject(where, data, &problem)
	return object, problem
}

// Err tells the first problem of this object and of the objects within it, as a Failure of code bad_job.
func (o *Object) Err() error {
	if *o.problem == nil {
		o.reportUnknown()
	}
	if *o.problem != nil {
		return *o.problem
	}
	return nil
}

// Report keeps a problem that the caller found, unless there is one already.
func (o *Object) Report(name, format string, arguments ...any) {
	o.report(o.name(name)+" "+format, arguments...)
}

// Has tells whether the object has the key, without counting it as asked for.
func (o *Object) Has(name string) bool {
	_, found := o.fields[name]
	return found
}

// Path reads a string; without the key it is fallback.
func (o *Object) Path(name string, fallback Path) Path {
	data, found := o.take(name)
	if !found {
		return fallback
	}
	text, err := decodeText(data)
	if err != nil {
		if !startsWith(data, '"') {
			err = fmt.Errorf("not a string")
		}
		o.Report(name, "must be a string: %w", err)
	}
	return Path(text)
}

// RequiredPath reads a string that must be there and not be empty.
func (o *Object) RequiredPath(name string) Path {
	if o.Required(name) {
		if path := o.Path(name, ""); path != "" {
			return path
		}
		o.Report(name, "must not be empty")
	}
	return ""
}

// Choice reads a string that is one of those allowed, the first of which is the default.
func (o *Object) Choice(name string, allowed ...string) string {
	value := string(o.Path(name, Path(allowed[0])))
	for _, choice := range allowed {
		if value == choice {
			return value
		}
	}
	o.Report(name, "must be one of %s", strings.Join(allowed, ", "))
	return allowed[0]
}

// Bool reads true or false.
func (o *Object) Bool(name string, fallback bool) bool {
	data, found := o.take(name)
	if !found {
		return fallback
	}
	switch string(bytes.TrimSpace(data)) {
	case "true":
		return true
	case "false":
		return false
	}
	o.Report(name, "must be true or false")
	return fallback
}

// Integer reads an integer from minimum to maximum; math.MaxInt64 stands for no maximum.
func (o *Object) Integer(name string, fallback, minimum, maximum int64) int64 {
	data, found := o.take(name)
	if !found {
		return fallback
	}
	allowed := fmt.Sprintf("an integer of at least %d", minimum)
	if maximum != math.MaxInt64 {
		allowed = fmt.Sprintf("an integer from %d to %d", minimum, maximum)
	}
	value, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	if err != nil {
		o.Report(name, "must be %s", allowed)
		return fallback
	}
	if value < minimum || value > maximum {
		o.Report(name, "is %d; it must be %s", value, allowed)
	}
	return value
}

// OptionalInteger reads an integer of at least minimum, or null. given is false for null and for an absent key.
func (o *Object) OptionalInteger(name string, minimum int64) (value int64, given bool) {
	if string(bytes.TrimSpace(o.fields[name])) == "null" {
		o.known[name] = true
		return 0, false
	}
	return o.Integer(name, 0, minimum, math.MaxInt64), o.Has(name)
}

// Number reads a number of at least 0; positive says that 0 is not allowed either.
func (o *Object) Number(name string, fallback float64, positive bool) float64 {
	data, found := o.take(name)
	if !found {
		return fallback
	}
	allowed := "a number of at least 0"
	if positive {
		allowed = "a number above 0"
	}
	var value float64
	if !startsWithDigit(data) || json.Unmarshal(data, &value) != nil {
		o.Report(name, "must be %s", allowed)
		return fallback
	}
	if value < 0 || positive && value == 0 {
		o.Report(name, "is %g; it must be %s", value, allowed)
	}
	return value
}

// Object reads an object within this one; without the key it is an empty one.
func (o *Object) Object(name string) *Object {
	data, found := o.take(name)
	if !found {
		data = []byte("{}")
	}
	return o.child(o.name(name), data)
}

// RequiredObject reads an object that must be there.
func (o *Object) RequiredObject(name string) *Object {
	o.Required(name)
	return o.Object(name)
}

// Objects reads a list of objects.
func (o *Object) Objects(name string) []*Object {
	var objects []*Object
	for index, data := range o.list(name) {
		objects = append(objects, o.child(fmt.Sprintf("%s[%d]", o.name(name), index), data))
	}
	return objects
}

// ObjectLists reads a list of lists of objects.
func (o *Object) ObjectLists(name string) [][]*Object {
	var lists [][]*Object
	for outer, data := range o.list(name) {
		where := fmt.Sprintf("%s[%d]", name, outer)
		var items []json.RawMessage
		if !startsWith(data, '[') || json.Unmarshal(data, &items) != nil {
			o.Report(where, "must be a list")
		}
		var objects []*Object
		for index, item := range items {
			objects = append(objects, o.child(fmt.Sprintf("%s[%d]", o.name(where), index), item))
		}
		lists = append(lists, objects)
	}
	return lists
}

// Paths reads a list of strings.
func (o *Object) Paths(name string) []Path {
	var paths []Path
	for index, data := range o.list(name) {
		text, err := decodeText(data)
		if err != nil {
			o.Report(fmt.Sprintf("%s[%d]", name, index), "must be a string")
		}
		paths = append(paths, Path(text))
	}
	return paths
}

// Keys gives the keys of the object in order, for objects whose keys are data.
func (o *Object) Keys() []string {
	keys := make([]string, 0, len(o.fields))
	for key := range o.fields {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// Raw gives the JSON text of a value, nil without the key, for values that need a decoder of their own.
func (o *Object) Raw(name string) json.RawMessage {
	data, _ := o.take(name)
	return data
}

func (o *Object) list(name string) []json.RawMessage {
	data, found := o.take(name)
	if !found {
		return nil
	}
	var items []json.RawMessage
	if !startsWith(data, '[') || json.Unmarshal(data, &items) != nil {
		o.Report(name, "must be a list")
	}
	return items
}

func (o *Object) child(where string, data []byte) *Object {
	child := newObject(where, data, o.problem)
	o.children = append(o.children, child)
	return child
}

func (o *Object) take(name string) (json.RawMessage, bool) {
	o.known[name] = true
	data, found := o.fields[name]
	return data, found
}

// Required reports a problem if the object lacks the key.
func (o *Object) Required(name string) bool {
	if o.Has(name) {
		return true
	}
	o.known[name] = true
	o.report("%s lacks the key %s", o.where, name)
	return false
}

func (o *Object) name(name string) string { return o.where + "." + name }

func (o *Object) report(format string, arguments ...any) {
	if *o.problem == nil {
		*o.problem = Fail(BadJob, format, arguments...)
	}
}

func (o *Object) reportUnknown() {
	for _, key := range o.Keys() {
		if !o.known[key] {
			known := make([]string, 0, len(o.known))
			for name := range o.known {
				known = append(known, name)
			}
			sort.Strings(known)
			o.report("%s has the unknown key %s; known are %s", o.where, key, strings.Join(known, ", "))
			return
		}
	}
	for _, child := range o.children {
		child.reportUnknown()
	}
}

func startsWith(data []byte, first byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == first
}

func startsWithDigit(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && (data[0] == '-' || data[0] >= '0' && data[0] <= '9')
}
