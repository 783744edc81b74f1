// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
)

// decided counts how so many blocks would go, by the index of the way, over a wire of a certain speed.
func decided(t *testing.T, bytesPerSecond float64, ratios [2]float64) map[int]int {
	t.Helper()
	p, err := NewPace(Compression{Codec: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	processors := float64(runtime.GOMAXPROCS(0))
	p.wireCost = 1 / bytesPerSecond
	// As fast as s2 and zstd are on half of the processors together.
	p.ways[0] = way{p.ways[0].encoder, true, processors / 2 / 1e9, ratios[0]}
	p.ways[1] = way{p.ways[1].encoder, true, processors / 2 / 250e6, ratios[1]}
	counts := map[int]int{}
	for range 4 * sampleEvery {
		counts[p.choose()]++
	}
	return counts
}

func TestTheWayOfCompressingSuitsTheWire(t *testing.T) {
	const all = 4 * sampleEvery
	text, random := [2]float64{0.55, 0.4}, [2]float64{1, 1}
	for name, test := range map[string]struct {
		speed  float64
		ratios [2]float64
		want   int
	}{
		"text on a slow wire":         {5e6, text, 1},
		"text on a fast wire":         {125e6, text, 0},
		"text on the fastest":         {2e9, text, 0},
		"hardly text on the fastest":  {2e9, [2]float64{0.85, 0.8}, -1},
		"random bytes on a slow wire": {5e6, random, -1},
		"random bytes on a fast wire": {125e6, random, -1},
		"hardly smaller, a slow wire": {5e6, [2]float64{0.97, 0.96}, -1},
		"s2 does nothing, slow wire":  {5e6, [2]float64{1, 0.8}, 1},
		"s2 does nothing, a fast one": {600e6, [2]float64{1, 0.9}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			counts := decided(t, test.speed, test.ratios)
			// Each way is sampled twice, whatever is best.
			if counts[test.want] < all-4 || counts[0] < 2 || counts[1] < 2 {
				t.Errorf("the blocks went by %v, not by %d", counts, test.want)
			}
		})
	}
}

func TestAWireThatIsNotWaitedForIsStillKnownToBeSlow(t *testing.T) {
	p, err := NewPace(Compression{Codec: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	p.wireCost = 20e-9
	// Writes that take no time, as when compressing is what takes it.
	for range 2 * measured / largestBlock {
		p.beginWrite()
		p.endWrite(largestBlock + 1)
	}
	if p.wireCost < 15e-9 || p.wireCost >= 20e-9 {
		t.Errorf("a byte takes %g s", p.wireCost)
	}
}

func TestWhatTheEndsSayToEachOtherShowsNothingOfWhatIsMoved(t *testing.T) {
	p, err := NewPace(Compression{Codec: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	p.wireCost = 1 / 125e6
	half := make([]byte, largestBlock)
	_, _ = rand.NewChaCha8([32]byte{}).Read(half[:largestBlock/2])
	for range 4 * sampleEvery {
		if _, codec := p.pack(nil, half); codec == codecNone {
			t.Fatal("a block goes as it is, though half of it is nothing")
		}
		for range 4 {
			p.pack(nil, []byte("done"))
		}
	}
}

func TestWhatIsPackedIsUnpacked(t *testing.T) {
	text := bytes.Repeat([]byte("a line of text, and more of it\n"), largestBlock/31)
	random := make([]byte, largestBlock)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(random)
	p, err := NewPace(Compression{Codec: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	p.wireCost = 1e-6
	seen := map[byte]bool{}
	for _, block := range [][]byte{text, random} {
		for range 2 * sampleEvery {
			packed, codec := p.pack(nil, block)
			seen[codec] = true
			if codec == codecNone {
				continue
			}
			into := make([]byte, len(block))
			if err := new(decoders).unpack(codec, into, packed[blockHeader:]); err != nil || !bytes.Equal(into, block) {
				t.Fatalf("a block by codec %d is not what it was: %v", codec, err)
			}
		}
	}
	if !seen[codecNone] || !seen[codecZstd] || !seen[codecS2] {
		t.Errorf("the codecs were %v", seen)
	}
}
