// SPDX-License-Identifier: GPL-3.0-or-later

package codec

import (
	"bytes"
	"io"
	"testing"
)

func TestEachLevelIsReadAndNoHalf(t *testing.T) {
	data := bytes.Repeat([]byte("some bytes "), 200_000)
	for _, format := range Formats {
		for level := format.Lowest; level <= format.Highest; level++ {
			var packed bytes.Buffer
			writer, err := format.NewWriter(&packed, level, 2)
			if err == nil {
				_, err = writer.Write(data)
			}
			if err == nil {
				err = writer.Close()
			}
			if err != nil {
				t.Fatalf("%s %d: %v", format.Name, level, err)
			}
			if format.Name != "brotli" && Detect(packed.Bytes()) != format {
				t.Errorf("%s is not told apart", format.Name)
			}
			if read, err := unpack(format, packed.Bytes()); err != nil || !bytes.Equal(read, data) {
				t.Errorf("%s %d: %d bytes, %v", format.Name, level, len(read), err)
			}
			if _, err := unpack(format, packed.Bytes()[:packed.Len()-10]); err == nil && format.Name != "tar" {
				t.Errorf("%s %d: a truncated stream was read", format.Name, level)
			}
		}
	}
}

func unpack(format *Format, packed []byte) ([]byte, error) {
	reader, err := format.NewReader(bytes.NewReader(packed), 2)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}
