// SPDX-License-Identifier: GPL-3.0-or-later

package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	flushSize  = 32 << 10
	flushDelay = 100 * time.Millisecond
)

// Emitter writes events, and may be used by several goroutines. Changes, differences, warnings and settings are gathered and written by
// groups of whole lines, after 100 ms at the latest; all other events are written at once, with what was gathered
// before them. Only the runner emits hello, progress, sample, result and error.
type Emitter struct {
	mutex    sync.Mutex
	to       io.Writer
	gathered []byte
	delay    *time.Timer
	changes  int64
	broken   error
	onBroken func(error)
}

// NewEmitter makes an emitter; onBroken is called once if the reader of the events is gone.
func NewEmitter(to io.Writer, onBroken func(error)) *Emitter {
	e := &Emitter{to: to, onBroken: onBroken}
	e.delay = time.AfterFunc(math.MaxInt64, e.Flush)
	return e
}

// Change emits that something was changed, or in a dry run would be. path is relative to the destination, "." for
// its root, or names a table or object; before and after may be nil.
func (e *Emitter) Change(action, kind string, path Path, before, after *Attributes) {
	e.gather(func(line []byte) []byte {
		e.changes++
		line = append(append(line, `{"event":"change","action":"`...), action...)
		line = append(append(line, `","kind":"`...), kind...)
		line = path.AppendJSON(append(line, `","path":`...))
		line = before.appendMember(line, "before")
		return after.appendMember(line, "after")
	})
}

// Difference emits that a tree is not as a manifest says. expected and found may be empty.
func (e *Emitter) Difference(kind string, path Path, expected, found string) {
	e.gather(func(line []byte) []byte {
		line = append(append(line, `{"event":"difference","difference":"`...), kind...)
		line = path.AppendJSON(append(line, `","path":`...))
		if expected != "" {
			line = appendText(append(line, `,"expected":`...), expected)
		}
		if found != "" {
			line = appendText(append(line, `,"found":`...), found)
		}
		return line
	})
}

// Relay emits an event of another engine, as one whole line; isChange says that it tells of a change.
func (e *Emitter) Relay(line []byte, isChange bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if len(e.gathered) == 0 {
		e.delay.Reset(flushDelay)
	}
	if isChange {
		e.changes++
	}
	e.gathered = append(e.gathered, line...)
	if len(e.gathered) >= flushSize {
		e.write()
	}
}

// Changes tells how many changes were emitted.
func (e *Emitter) Changes() int64 {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.changes
}

// Warning emits what does not end the job; path may be empty.
func (e *Emitter) Warning(code, message string, path Path) {
	e.gather(func(line []byte) []byte {
		line = append(append(line, `{"event":"warning","code":"`...), code...)
		line = appendText(append(line, `","message":`...), message)
		return appendPath(line, "path", path)
	})
}

// Hello is the first event: who this is and what it can do.
type Hello struct {
	Version      string
	Platform     string
	Operations   []string
	Capabilities map[string]any
}

// Hello emits the first event.
func (e *Emitter) Hello(hello Hello) {
	e.send(func(line []byte) []byte {
		line = append(line, `{"event":"hello","protocol":`...)
		line = strconv.AppendInt(line, Protocol, 10)
		line = appendText(append(line, `,"executor":"go","version":`...), hello.Version)
		line = appendText(append(line, `,"platform":`...), hello.Platform)
		line = appendValue(append(line, `,"operations":`...), hello.Operations)
		return appendValue(append(line, `,"capabilities":`...), hello.Capabilities)
	})
}

// Progress is how far the job is. Bytes are done when they are written, or found to be there already.
type Progress struct {
	Phase       string
	Elapsed     time.Duration
	ItemsDone   int64
	ItemsTotal  int64
	BytesDone   int64
	BytesTotal  int64
	TotalsKnown bool // the totals are those of the whole job
	Current     Path
}

// Progress emits how far the job is.
func (e *Emitter) Progress(p Progress) {
	e.send(func(line []byte) []byte {
		line = appendText(append(line, `{"event":"progress","phase":`...), p.Phase)
		line = appendSeconds(append(line, `,"elapsed":`...), p.Elapsed)
		line = strconv.AppendInt(append(line, `,"items_done":`...), p.ItemsDone, 10)
		line = strconv.AppendInt(append(line, `,"items_total":`...), p.ItemsTotal, 10)
		line = strconv.AppendInt(append(line, `,"bytes_done":`...), p.BytesDone, 10)
		line = strconv.AppendInt(append(line, `,"bytes_total":`...), p.BytesTotal, 10)
		if p.TotalsKnown {
			line = append(line, `,"totals_known":true`...)
		}
		return appendPath(line, "current", p.Current)
	})
}

// Sample is one point of the curves of a job.
type Sample struct {
	Elapsed          time.Duration
	ItemsDone        int64
	BytesDone        int64
	MemoryUsageBytes int64
	CPUUsagePercent  float64
}

// Sample emits one point of the curves.
func (e *Emitter) Sample(s Sample) {
	e.send(func(line []byte) []byte {
		line = appendSeconds(append(line, `{"event":"sample","elapsed":`...), s.Elapsed)
		line = strconv.AppendInt(append(line, `,"items_done":`...), s.ItemsDone, 10)
		line = strconv.AppendInt(append(line, `,"bytes_done":`...), s.BytesDone, 10)
		line = strconv.AppendInt(append(line, `,"memory_usage_bytes":`...), s.MemoryUsageBytes, 10)
		return strconv.AppendFloat(append(line, `,"cpu_usage_percent":`...), s.CPUUsagePercent, 'f', 1, 64)
	})
}

// Result emits the terminal event of a job that did its work. statistics and performance are encoded as JSON.
func (e *Emitter) Result(operation string, changed bool, statistics, performance any) {
	e.send(func(line []byte) []byte {
		line = appendText(append(line, `{"event":"result","operation":`...), operation)
		return appendOutcome(line, changed, statistics, performance)
	})
}

// Error emits the terminal event of a job that failed.
func (e *Emitter) Error(failure *Failure, changed bool, statistics, performance any) {
	e.send(func(line []byte) []byte {
		line = appendText(append(line, `{"event":"error","code":`...), failure.Code)
		line = appendText(append(line, `,"message":`...), failure.Message)
		line = appendPath(line, "path", failure.Path)
		line = strconv.AppendBool(append(line, `,"resumable":`...), failure.Resumable())
		return appendOutcome(line, changed, statistics, performance)
	})
}

// Flush writes what was gathered.
func (e *Emitter) Flush() {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.write()
}

func (e *Emitter) gather(append func([]byte) []byte) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if len(e.gathered) == 0 {
		e.delay.Reset(flushDelay)
	}
	e.gathered = endLine(append(e.gathered))
	if len(e.gathered) >= flushSize {
		e.write()
	}
}

func (e *Emitter) send(append func([]byte) []byte) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.gathered = endLine(append(e.gathered))
	e.write()
}

func (e *Emitter) write() {
	if len(e.gathered) == 0 {
		return
	}
	e.delay.Stop()
	_, err := e.to.Write(e.gathered)
	e.gathered = e.gathered[:0]
	if err != nil && e.broken == nil {
		e.broken = err
		e.onBroken(err)
	}
}

func endLine(line []byte) []byte { return append(line, '}', '\n') }

func appendPath(line []byte, name string, path Path) []byte {
	if path == "" {
		return line
	}
	line = append(append(append(line, ',', '"'), name...), '"', ':')
	return path.AppendJSON(line)
}

func appendSeconds(line []byte, duration time.Duration) []byte {
	return strconv.AppendFloat(line, duration.Seconds(), 'f', 3, 64)
}

func appendOutcome(line []byte, changed bool, statistics, performance any) []byte {
	line = strconv.AppendBool(append(line, `,"changed":`...), changed)
	if statistics != nil {
		line = appendValue(append(line, `,"statistics":`...), statistics)
	}
	return appendValue(append(line, `,"performance":`...), performance)
}

// appendValue encodes any value as ASCII. All values are the engine's own, so that a failure is a defect.
func appendValue(line []byte, value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("unable to encode %T: %v", value, err))
	}
	for len(encoded) > 0 {
		r, width := utf8.DecodeRune(encoded)
		if r < utf8.RuneSelf {
			line = append(line, encoded[0])
		} else {
			quoted := appendText(nil, string(r))
			line = append(line, quoted[1:len(quoted)-1]...)
		}
		encoded = encoded[width:]
	}
	return line
}
