// SPDX-License-Identifier: GPL-3.0-or-later

// Package digest names the checksums of files that the engine can compute.
package digest

import (
	"crypto/sha256"
	"hash"

	"github.com/zeebo/blake3"
	"github.com/zeebo/xxh3"
)

// Algorithm is one kind of checksum. Size is in bytes.
type Algorithm struct {
	Name string
	Size int
	New  func() hash.Hash
}

// Algorithms are all of them. Where several have the same size, the first is the more common one. XXH3 is the one of
// 128 bits, whose checksums are those of xxh128sum.
var Algorithms = []*Algorithm{
	{"sha256", sha256.Size, sha256.New},
	{"blake3", 32, func() hash.Hash { return blake3.New() }},
	{"xxh3", 16, func() hash.Hash { return xxh3.New128() }},
}

// Names gives the names of all algorithms.
func Names() []string {
	names := make([]string, 0, len(Algorithms))
	for _, algorithm := range Algorithms {
		names = append(names, algorithm.Name)
	}
	return names
}

// Named gives the algorithm of that name, nil if there is none.
func Named(name string) *Algorithm {
	for _, algorithm := range Algorithms {
		if algorithm.Name == name {
			return algorithm
		}
	}
	return nil
}

// OfSize gives the algorithms whose checksums have that many bytes.
func OfSize(size int) []*Algorithm {
	var found []*Algorithm
	for _, algorithm := range Algorithms {
		if algorithm.Size == size {
			found = append(found, algorithm)
		}
	}
	return found
}
