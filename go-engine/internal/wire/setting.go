// SPDX-License-Identifier: GPL-3.0-or-later

package wire

// What has become of a setting that was wanted.
const (
	OK          = "ok"
	KeptHigher  = "kept_higher" // it would have lowered what is there
	Clamped     = "clamped"     // the system gave less
	Unsupported = "unsupported"
)

// Setting is one that was wanted, decided by setting it and reading it back. Before and After are nil where that is not
// known.
type Setting struct {
	ID     string `json:"id"`
	Wanted any    `json:"wanted"`
	Before any    `json:"before"`
	After  any    `json:"after"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// Setting emits what has become of a setting.
func (e *Emitter) Setting(setting Setting) {
	e.gather(func(line []byte) []byte {
		encoded := appendValue(nil, setting)
		// endLine closes the object.
		return append(append(line, `{"event":"setting",`...), encoded[1:len(encoded)-1]...)
	})
}
