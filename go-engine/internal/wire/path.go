// SPDX-License-Identifier: GPL-3.0-or-later

package wire

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Path holds the bytes of a file name or of any other text. In JSON a byte that is not part of valid UTF-8 is the
// escape \udc80 to \udcff, as Python's surrogateescape writes it.
type Path string

const hexDigits = "0123456789abcdef"

// AppendJSON appends the path as a JSON string of ASCII characters.
func (p Path) AppendJSON(to []byte) []byte {
	return appendText(to, string(p))
}

// MarshalJSON implements json.Marshaler.
func (p Path) MarshalJSON() ([]byte, error) {
	return p.AppendJSON(nil), nil
}

// UnmarshalJSON implements json.Unmarshaler; it refuses surrogates that stand for no byte.
func (p *Path) UnmarshalJSON(data []byte) error {
	text, err := decodeText(data)
	if err != nil {
		return err
	}
	*p = Path(text)
	return nil
}

func appendText(to []byte, text string) []byte {
	to = append(to, '"')
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			to = appendCharacter(to, c)
			i++
			continue
		}
		r, width := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			to = appendEscape(to, 0xdc00+rune(c))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			to = appendEscape(appendEscape(to, high), low)
		default:
			to = appendEscape(to, r)
		}
		i += width
	}
	return append(to, '"')
}

func appendCharacter(to []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(to, '\\', c)
	case c == '\n':
		return append(to, '\\', 'n')
	case c < ' ' || c == 0x7f:
		return appendEscape(to, rune(c))
	}
	return append(to, c)
}

func appendEscape(to []byte, r rune) []byte {
	return append(to, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// decodeText reads one JSON string.
func decodeText(data []byte) (string, error) {
	data = bytes.TrimSpace(data)
	if len(data) < 2 || data[0] != '"' || data[len(data)-1] != '"' {
		return "", errors.New("not a string")
	}
	data = data[1 : len(data)-1]
	text := make([]byte, 0, len(data))
	for len(data) > 0 {
		if data[0] != '\\' {
			text = append(text, data[0])
			data = data[1:]
			continue
		}
		if len(data) < 2 {
			return "", errors.New("a string ends within an escape")
		}
		if data[1] != 'u' {
			c, ok := simpleEscapes[data[1]]
			if !ok {
				return "", errors.New("a string has an unknown escape")
			}
			text = append(text, c)
			data = data[2:]
			continue
		}
		var err error
		if text, data, err = decodeEscape(text, data); err != nil {
			return "", err
		}
	}
	return string(text), nil
}

var simpleEscapes = map[byte]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// decodeEscape reads one \uXXXX, or two that form a pair, from the front of data.
func decodeEscape(text, data []byte) ([]byte, []byte, error) {
	r, ok := codeUnit(data)
	if !ok {
		return nil, nil, errors.New("a string has a broken \\u escape")
	}
	data = data[6:]
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(text, r), data, nil
	}
	if low, ok := codeUnit(data); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return utf8.AppendRune(text, pair), data[6:], nil
		}
	}
	if r < 0xdc80 || r > 0xdcff {
		return nil, nil, errors.New("a string has a surrogate that stands for no byte")
	}
	return append(text, byte(r-0xdc00)), data, nil
}

func codeUnit(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	value, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return rune(value), err == nil
}
