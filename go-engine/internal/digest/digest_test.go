// SPDX-License-Identifier: GPL-3.0-or-later

package digest_test

import (
	"encoding/hex"
	"testing"

	"migration.assistant/engine/internal/digest"
)

// The checksums of "abc" as the authors of the algorithms and their command-line tools give them.
func TestChecksumsAreThoseOfTheTools(t *testing.T) {
	for name, wanted := range map[string]string{
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"blake3": "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
		"xxh3":   "06b05ab6733a618578af5f94892f3950",
	} {
		algorithm := digest.Named(name)
		hash := algorithm.New()
		_, _ = hash.Write([]byte("a"))
		_, _ = hash.Write([]byte("bc"))
		if found := hash.Sum(nil); hex.EncodeToString(found) != wanted || len(found) != algorithm.Size {
			t.Errorf("%s of abc is %x", name, found)
		}
	}
}
