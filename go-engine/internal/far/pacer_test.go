// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// sink keeps what is written, and the largest write.
type sink struct {
	bytes.Buffer
	largest int
}

func (s *sink) Write(data []byte) (int, error) {
	s.largest = max(s.largest, len(data))
	return s.Buffer.Write(data)
}

func (s *sink) Close() error { return nil }

func TestAPacedWriteIsWholeAndInPieces(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	for name, limit := range map[string]float64{"no limit": 0, "a limit": 4 << 20} {
		to, p := &sink{}, &pacer{}
		p.set(limit)
		written, err := paced{to, p}.Write(data)
		if err != nil || written != len(data) || !bytes.Equal(to.Bytes(), data) {
			t.Errorf("%s: %d bytes, %v", name, written, err)
		}
		if isPaced := to.largest < len(data); isPaced != (limit > 0) {
			t.Errorf("%s: %d bytes at once", name, to.largest)
		}
	}
}

func TestTheOtherEndSaysHowFast(t *testing.T) {
	p := &Peer{}
	told := binary.BigEndian.AppendUint64(nil, 5<<20)
	p.obeyPace(io.NopCloser(bytes.NewReader(append(told, 1, 2))))
	if limiter := p.pacer.limiter.Load(); limiter == nil || limiter.Limit() != 5<<20 {
		t.Errorf("the limit is %v", limiter)
	}
}

func TestAWordOfTheProxyCommandIsOneWord(t *testing.T) {
	if got, want := proxyWord(`/a b/$HOME/"%h"`), `"/a b/\$HOME/\"%%h\""`; got != want {
		t.Errorf("%s instead of %s", got, want)
	}
}
