// SPDX-License-Identifier: GPL-3.0-or-later

package wire

import "strconv"

// Attributes are what a change gives as before or after: named values, encoded as they are added. The zero value
// is empty and ready for use.
type Attributes struct {
	encoded []byte
}

// Integer adds a number.
func (a *Attributes) Integer(name string, value int64) {
	a.encoded = strconv.AppendInt(a.name(name), value, 10)
}

// Text adds a string; a byte that is not part of valid UTF-8 is kept, as in a Path.
func (a *Attributes) Text(name, value string) {
	a.encoded = appendText(a.name(name), value)
}

// Texts adds a list of strings.
func (a *Attributes) Texts(name string, values []string) {
	to := append(a.name(name), '[')
	for index, value := range values {
		if index > 0 {
			to = append(to, ',')
		}
		to = appendText(to, value)
	}
	a.encoded = append(to, ']')
}

// Raw adds a value that is JSON of ASCII characters already.
func (a *Attributes) Raw(name string, value []byte) {
	a.encoded = append(a.name(name), value...)
}

// Empty tells whether nothing was added.
func (a *Attributes) Empty() bool { return len(a.encoded) == 0 }

func (a *Attributes) name(name string) []byte {
	to := a.encoded
	if len(to) > 0 {
		to = append(to, ',')
	}
	return append(appendText(to, name), ':')
}

func (a *Attributes) appendMember(to []byte, name string) []byte {
	if a == nil || a.Empty() {
		return to
	}
	to = append(append(to, ',', '"'), name...)
	to = append(append(to, '"', ':', '{'), a.encoded...)
	return append(to, '}')
}
