// SPDX-License-Identifier: GPL-3.0-or-later

package manifest

import (
	"bufio"
	"encoding/hex"
	"io"
	"strings"
)

const writeBuffer = 64 << 10

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)

// Write writes the lines of records in their order.
func Write(to io.Writer, records []Record) error {
	buffered := bufio.NewWriterSize(to, writeBuffer)
	var line []byte
	for _, record := range records {
		line = record.appendLine(line[:0])
		if _, err := buffered.Write(line); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func (r Record) appendLine(line []byte) []byte {
	path := r.Path()
	escaped := strings.ContainsAny(path, "\\\n\r")
	if escaped {
		line = append(line, '\\')
		path = escapes.Replace(path)
	}
	line = hex.AppendEncode(line, []byte(r.Checksum()))
	line = append(line, "  ./"...)
	line = append(line, path...)
	return append(line, '\n')
}
