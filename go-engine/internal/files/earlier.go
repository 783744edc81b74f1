// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"sync/atomic"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/origin"
)

const (
	// enoughCompared is how much of a file is compared before it is judged whether that gains anything.
	enoughCompared = 64 << 20
	// leastKnown is the share that must be the same for the rest to be compared too.
	leastKnown = 0.02
)

// earlier is the content that a file has at the destination until another from afar takes its place. What is the same
// in both is not sent. Nil is none.
type earlier struct {
	file            fsys.File
	size            int64
	compared, known atomic.Int64
}

// openEarlier gives the content that is about to be replaced, nil if there is none that is worth a look.
func (w *worker) openEarlier(at *place, source *fsys.Stat) *earlier {
	if !at.isFile() || source.Size() < deltaFrom || source.IsSparse() || at.stat.Size() < deltaFrom {
		return nil
	}
	file, err := openSame(at.directory.destination, at.name, &at.stat, "destination")
	if err != nil {
		return nil // all comes from afar then
	}
	return &earlier{file: file, size: at.stat.Size()}
}

// know reads what there is of a part; nil for nothing, or where too little was the same by now.
func (e *earlier) know(w *worker, piece fsys.Extent) (*origin.Known, error) {
	if e == nil || piece.Start >= e.size {
		return nil, nil
	}
	if compared := e.compared.Load(); compared > enoughCompared && float64(e.known.Load()) < leastKnown*float64(compared) {
		return nil, nil
	}
	known, err := origin.Know(e.file, piece.Start, min(piece.Length(), e.size-piece.Start), func(int64) error { return w.job.check() })
	return known, unable("read the destination", err)
}

// note tells how much of a part was the same.
func (e *earlier) note(length, known int64) {
	if e != nil {
		e.compared.Add(length)
		e.known.Add(known)
	}
}

// close tells how much of the whole file was the same.
func (e *earlier) close() int64 {
	if e == nil {
		return 0
	}
	e.file.Close()
	return e.known.Load()
}
