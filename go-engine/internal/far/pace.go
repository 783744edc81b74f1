// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"runtime"
	"sync"
	"time"
)

const (
	// sampleEvery is how many blocks go as they are before one shows again whether compression would pay.
	sampleEvery = 16
	// recent is how many bytes on the wire make up the present.
	recent = 8 << 20
	// least is the share of a block that must be saved for it to be sent compressed.
	least = 0.05
)

// Pace knows how fast the wire and the compressor are, and decides by that what is compressed. With a codec that the
// user has named, everything is that shrinks. It may be used by several goroutines.
type Pace struct {
	encoder   encoder
	always    bool
	mutex     sync.Mutex
	writing   int       // writes that are under way
	began     time.Time // when the first of them began
	wireTime  float64   // seconds in which there was at least one
	wireBytes float64
	packCost  float64 // seconds for one byte, on one processor
	ratio     float64 // of compressed to raw
	skipped   int
}

// NewPace makes one for a way of compressing; its error tells what is wrong with that.
func NewPace(compression Compression) (*Pace, error) {
	made, err := newEncoder(compression)
	if err != nil {
		return nil, err
	}
	return &Pace{encoder: made, always: compression.Codec != "auto"}, nil
}

// pack compresses a block behind a space for its header, if that pays. It gives codecNone if the block is to be sent as
// it is.
func (p *Pace) pack(into, block []byte) ([]byte, byte) {
	if p.encoder == nil || !p.always && !p.isWorthIt() {
		return into, codecNone
	}
	began := time.Now()
	if cap(into) < blockHeader {
		into = make([]byte, blockHeader, blockHeader+largestBlock)
	}
	packed, codec := p.encoder.encode(into[:blockHeader], block)
	spent := time.Since(began).Seconds() / float64(len(block))
	ratio := 1.0
	if codec != codecNone {
		ratio = float64(len(packed)-blockHeader) / float64(len(block))
	}
	p.mutex.Lock()
	if p.packCost == 0 {
		p.packCost, p.ratio = spent, ratio
	}
	// The least of late: the others had to wait for a processor in between.
	p.packCost = min(p.packCost*1.02, spent)
	p.ratio += (ratio - p.ratio) / 4
	p.mutex.Unlock()
	if ratio > 1-least {
		return into, codecNone
	}
	return packed, codec
}

// isWorthIt tells whether the time on the wire that is saved is more than what compressing takes.
func (p *Pace) isWorthIt() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	saved := 0.0
	if p.wireBytes > 0 {
		saved = (1 - p.ratio) * p.wireTime / p.wireBytes
	}
	if p.packCost == 0 || p.wireBytes < largestBlock ||
		p.ratio < 1-least && p.packCost/float64(runtime.GOMAXPROCS(0)) < saved {
		return true
	}
	if p.skipped++; p.skipped < sampleEvery {
		return false
	}
	p.skipped = 0
	return true
}

func (p *Pace) beginWrite() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.writing++; p.writing == 1 {
		p.began = time.Now()
	}
}

func (p *Pace) endWrite(length int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	now := time.Now()
	p.wireTime += now.Sub(p.began).Seconds()
	p.began = now
	p.writing--
	if p.wireBytes += float64(length); p.wireBytes > recent {
		p.wireBytes /= 2
		p.wireTime /= 2
	}
}
