// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"math"
	"runtime"
	"sync"
	"time"
)

const (
	// sampleEvery is how many blocks go in the way that is thought best before one shows again what another would give.
	sampleEvery = 16
	// measured is how many bytes on the wire make one measurement of it.
	measured = 8 << 20
	// fade is what a measurement is worth when the next one is done. Only a wire that is waited for shows how slow it is:
	// while compressing takes the time, or the disks do, it seems faster.
	fade = 0.9
	// least is the share of a block that must be saved for it to be sent compressed.
	least = 0.05
	// showing is how long a block must be that shows what a way gives: shorter ones are what the ends say to each other.
	showing = 16 << 10
	// much is the share that compressing saves of what is never sent as it is: a wire that is waited for is slower than
	// it seems, since the connection's buffers take some megabytes at once.
	much = 0.25
)

// Pace knows how fast the wire and the compressors are, and decides by that what is compressed, and how. With a codec
// that the user has named, everything is that shrinks. It may be used by several goroutines.
type Pace struct {
	always    bool
	mutex     sync.Mutex
	ways      []way
	packed    int       // blocks so far
	writing   int       // writes that are under way
	began     time.Time // when the first of them began
	wireTime  float64   // seconds in which there was at least one, in this measurement
	wireBytes float64
	wireCost  float64 // seconds for one byte; 0 as long as nothing is known
}

// way is one of compressing.
type way struct {
	encoder encoder
	known   bool
	cost    float64 // seconds for one byte, on one processor
	ratio   float64 // of compressed to raw
}

// NewPace makes one for a way of compressing; its error tells what is wrong with that.
func NewPace(compression Compression) (*Pace, error) {
	codecs := []string{compression.Codec}
	if compression.Codec == "auto" {
		codecs = []string{"s2", "zstd"} // for a fast wire, and for a slow one
	}
	p := &Pace{always: compression.Codec != "auto"}
	for _, codec := range codecs {
		made, err := newEncoder(Compression{codec, compression.Level})
		if err != nil {
			return nil, err
		}
		if made != nil {
			p.ways = append(p.ways, way{encoder: made})
		}
	}
	return p, nil
}

// pack compresses a block behind a space for its header, if that pays. It gives codecNone if the block is to be sent as
// it is.
func (p *Pace) pack(into, block []byte) ([]byte, byte) {
	chosen := p.choose()
	if chosen < 0 {
		return into, codecNone
	}
	began := time.Now()
	if cap(into) < blockHeader {
		into = make([]byte, blockHeader, blockHeader+largestBlock)
	}
	packed, codec := p.ways[chosen].encoder.encode(into[:blockHeader], block)
	spent := time.Since(began).Seconds() / float64(len(block))
	ratio := 1.0
	if codec != codecNone {
		ratio = float64(len(packed)-blockHeader) / float64(len(block))
	}
	if len(block) >= showing {
		p.learn(chosen, spent, ratio)
	}
	if ratio > 1-least {
		return into, codecNone
	}
	return packed, codec
}

func (p *Pace) learn(chosen int, spent, ratio float64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	w := &p.ways[chosen]
	if !w.known {
		w.known, w.cost, w.ratio = true, spent, ratio
	}
	// The least of late: the others had to wait for a processor in between.
	w.cost = min(w.cost*1.02, spent)
	w.ratio += (ratio - w.ratio) / 4
}

// choose gives the way for the next block, or -1 for none: the one by which a byte takes the least time, on the wire and
// before it.
func (p *Pace) choose() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.ways) == 0 {
		return -1
	}
	if p.always {
		return 0
	}
	for index := range p.ways {
		if !p.ways[index].known {
			return index
		}
	}
	if p.packed++; p.packed%sampleEvery == 0 {
		return p.packed / sampleEvery % len(p.ways)
	}
	wire := p.wireCost
	if wire == 0 {
		if p.wireBytes < largestBlock {
			return 0
		}
		wire = p.wireTime / p.wireBytes
	}
	// ssh, the link and the disks want processors too.
	processors := float64(runtime.GOMAXPROCS(0)) / 2
	best, lowest := -1, wire
	for index := range p.ways {
		w := &p.ways[index]
		if w.ratio < 1-much && lowest == wire {
			lowest = math.Inf(1)
		}
		if cost := w.cost/processors + w.ratio*wire; w.ratio < 1-least && cost < lowest {
			best, lowest = index, cost
		}
	}
	return best
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
	if p.wireBytes += float64(length); p.wireBytes > measured {
		p.wireCost = max(p.wireTime/p.wireBytes, p.wireCost*fade)
		p.wireBytes, p.wireTime = 0, 0
	}
}
