// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestTheRelayHandsOnWhatIsWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var passed int64
	r := newRelay(false, func(bytes int64) { passed += bytes })
	var wrote bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 3000 {
			row := make([]byte, random.IntN(2000))
			if random.IntN(300) == 0 {
				row = make([]byte, 3*relayBuffer)
			}
			for index := range row {
				row[index] = byte(random.IntN(256))
			}
			wrote.Write(row)
			if n, err := r.Write(row); n != len(row) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		r.end(nil)
	}()
	read, err := io.ReadAll(r)
	<-ended
	if err != nil || !bytes.Equal(read, wrote.Bytes()) || passed != int64(len(read)) {
		t.Errorf("%d bytes of %d, %d counted, %v", len(read), wrote.Len(), passed, err)
	}
}

func TestTheReaderGetsTheWritersError(t *testing.T) {
	r := newRelay(false, func(int64) {})
	failure := errors.New("no more")
	_, _ = r.Write([]byte("half a row"))
	r.end(failure)
	if read, err := io.ReadAll(r); !errors.Is(err, failure) || len(read) > 0 {
		t.Errorf("%q, %v", read, err)
	}
}

func TestAWriterWithoutAReader(t *testing.T) {
	for _, discard := range []bool{false, true} {
		r := newRelay(discard, func(int64) {})
		started := make(chan struct{})
		go func() {
			<-started
			r.breakOff()
		}()
		var err error
		for count := range 20 * relayBuffers {
			if count == 2 {
				close(started)
			}
			if _, err = r.Write(make([]byte, relayBuffer)); err != nil {
				break
			}
		}
		r.end(err)
		if (err == nil) != discard {
			t.Errorf("discard %t: %v", discard, err)
		}
	}
}
