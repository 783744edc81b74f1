// SPDX-License-Identifier: GPL-3.0-or-later

package meter

import (
	"math"
	"sync/atomic"
	"time"

	"migration.assistant/engine/internal/wire"
)

const mebibyte = 1 << 20

// Meter holds the counters of one job. All of it may be used by several goroutines.
type Meter struct {
	ItemsDone    atomic.Int64 // entries or rows
	ItemsTotal   atomic.Int64 // as far as known
	BytesDone    atomic.Int64 // bytes written
	BytesPassed  atomic.Int64 // bytes of what is done without being written
	BytesTotal   atomic.Int64 // bytes that are to be written, as far as known
	FilesCopied  atomic.Int64
	RowsCopied   atomic.Int64
	ErrorCount   atomic.Int64
	RetryCount   atomic.Int64
	started      time.Time
	phase        atomic.Value
	current      atomic.Pointer[wire.Path]
	totals       atomic.Pointer[totals]
	inWork       atomic.Int64
	mostInWork   atomic.Int64
	sampled      time.Time
	sampledUsage time.Duration
	startUsage   time.Duration
}

// totals are the items and bytes of a whole job.
type totals struct{ items, bytes int64 }

// New starts the clock, in the phase scan.
func New() *Meter {
	now := time.Now()
	usage := processorTime()
	m := &Meter{started: now, sampled: now, sampledUsage: usage, startUsage: usage}
	m.SetPhase("scan")
	return m
}

// SetPhase names what the job does now; the names are those of the event schema.
func (m *Meter) SetPhase(phase string) { m.phase.Store(phase) }

// SetCurrent names the path or table in hand.
func (m *Meter) SetCurrent(path wire.Path) { m.current.Store(&path) }

// SetTotals tells how many items and bytes there are in all.
func (m *Meter) SetTotals(items, bytes int64) { m.totals.Store(&totals{items, bytes}) }

// Again begins a further try of the job: what it comes by counts anew, and what was written stays written.
func (m *Meter) Again() {
	m.RetryCount.Add(1)
	m.ErrorCount.Store(0)
	m.ItemsDone.Store(0)
	m.ItemsTotal.Store(0)
	m.BytesPassed.Store(0)
	m.BytesTotal.Store(m.BytesDone.Load())
	m.SetPhase("scan")
}

// Begin counts one more file, table or chunk in work; End counts it off.
func (m *Meter) Begin() {
	inWork := m.inWork.Add(1)
	for {
		most := m.mostInWork.Load()
		if inWork <= most || m.mostInWork.CompareAndSwap(most, inWork) {
			return
		}
	}
}

// End counts off what Begin counted.
func (m *Meter) End() { m.inWork.Add(-1) }

// Progress gives how far the job is.
func (m *Meter) Progress() wire.Progress {
	progress := wire.Progress{
		Phase:      m.phase.Load().(string),
		Elapsed:    time.Since(m.started),
		ItemsDone:  m.ItemsDone.Load(),
		ItemsTotal: m.ItemsTotal.Load(),
		BytesDone:  m.BytesDone.Load() + m.BytesPassed.Load(),
		BytesTotal: m.BytesTotal.Load() + m.BytesPassed.Load(),
	}
	if totals := m.totals.Load(); totals != nil {
		// More than was counted can only have come since.
		progress.ItemsTotal = max(totals.items, progress.ItemsDone)
		progress.BytesTotal = max(totals.bytes, progress.BytesDone)
		progress.TotalsKnown = true
	}
	if current := m.current.Load(); current != nil {
		progress.Current = *current
	}
	return progress
}

// Sample gives one point of the curves; its processor figure covers the time since the sample before. Only one
// goroutine may take samples.
func (m *Meter) Sample() wire.Sample {
	now, usage := time.Now(), processorTime()
	sample := wire.Sample{
		Elapsed:          now.Sub(m.started),
		ItemsDone:        m.ItemsDone.Load(),
		BytesDone:        m.BytesDone.Load(),
		MemoryUsageBytes: residentMemory(),
		CPUUsagePercent:  percent(usage-m.sampledUsage, now.Sub(m.sampled)),
	}
	m.sampled, m.sampledUsage = now, usage
	return sample
}

// Performance are the figures of a whole job, as the protocol's performance object.
type Performance struct {
	FilesCopied          int64    `json:"files_copied"`
	BytesTransferred     int64    `json:"bytes_transferred"`
	TransferRate         float64  `json:"transfer_rate_mbps"`
	ConcurrentOperations int64    `json:"concurrent_operations"`
	MemoryUsageBytes     int64    `json:"memory_usage_bytes"`
	CPUUsagePercent      float64  `json:"cpu_usage_percent"`
	ErrorCount           int64    `json:"error_count"`
	RetryCount           int64    `json:"retry_count"`
	DurationSeconds      float64  `json:"duration_seconds"`
	RowsCopied           *int64   `json:"rows_copied,omitempty"`
	RowsPerSecond        *float64 `json:"rows_per_second,omitempty"`
}

// Performance gives the figures of the job so far; countsRows adds those of rows.
func (m *Meter) Performance(countsRows bool) Performance {
	duration := max(time.Since(m.started), time.Microsecond)
	bytes := m.BytesDone.Load()
	performance := Performance{
		FilesCopied:          m.FilesCopied.Load(),
		BytesTransferred:     bytes,
		TransferRate:         round(float64(bytes)/duration.Seconds()/mebibyte, 3),
		ConcurrentOperations: m.mostInWork.Load(),
		MemoryUsageBytes:     peakMemory(),
		CPUUsagePercent:      percent(processorTime()-m.startUsage, duration),
		ErrorCount:           m.ErrorCount.Load(),
		RetryCount:           m.RetryCount.Load(),
		DurationSeconds:      round(duration.Seconds(), 6),
	}
	if countsRows {
		rows := m.RowsCopied.Load()
		rate := round(float64(rows)/duration.Seconds(), 3)
		performance.RowsCopied, performance.RowsPerSecond = &rows, &rate
	}
	return performance
}

// ResidentMemory gives how much memory this process takes now, in bytes; the most so far where only that is known.
func (m *Meter) ResidentMemory() int64 { return residentMemory() }

func percent(used, span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	return max(round(100*float64(used)/float64(span), 1), 0)
}

func round(value float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(value*scale) / scale
}
