// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"

	"github.com/zeebo/xxh3"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
)

const (
	// deltaBlock is how much of a file is compared at once: little, since what changes in large files are pages of
	// databases and of disk images.
	deltaBlock = 16 << 10
	// digestSize is that of a block's XXH3. It is enough that no two blocks are taken for the same by chance; by intent
	// neither, since nobody knows the seed before, and each answer has a CRC-32 over all its bytes besides.
	digestSize = 16
	// longestDigests bounds what the other end may send for one question.
	longestDigests = 1 << 20
)

// Known is what the destination has already of a range of a file, from an earlier content of it.
type Known struct {
	file    fsys.File
	seed    uint64
	digests []byte
	buffer  []byte
}

// Know reads what a file has in a range. step is called as by fsys.CopyBuffered.
func Know(file fsys.File, start, length int64, step fsys.Step) (*Known, error) {
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // it never fails
	known := &Known{file: file, seed: binary.LittleEndian.Uint64(seed[:]), buffer: make([]byte, deltaBlock)}
	for offset := start; offset < start+length; offset += deltaBlock {
		block, err := readBlock(file, known.buffer[:min(deltaBlock, start+length-offset)], offset)
		if err != nil {
			return nil, err
		}
		if len(block) == 0 {
			break
		}
		known.digests = append(known.digests, blockDigest(block, known.seed)...)
		if err := step(0); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// copyTo gives bytes of the earlier content to take, and the checksum after them.
func (k *Known) copyTo(offset, length int64, sum uint32, take func(data []byte, offset int64) error) (uint32, error) {
	for end := offset + length; offset < end; {
		block, err := readBlock(k.file, k.buffer[:min(deltaBlock, end-offset)], offset)
		if err != nil {
			return sum, err
		}
		if len(block) == 0 {
			return sum, nil // it has become shorter, as the checksum will tell
		}
		sum = crc32.Update(sum, crc32.IEEETable, block)
		if err := take(block, offset); err != nil {
			return sum, err
		}
		offset += int64(len(block))
	}
	return sum, nil
}

// readBlock fills a buffer as far as the file goes.
func readBlock(file fsys.File, into []byte, offset int64) ([]byte, error) {
	filled := 0
	for filled < len(into) {
		length, err := file.ReadAt(into[filled:], offset+int64(filled))
		if err != nil {
			return nil, err
		}
		if length == 0 {
			break
		}
		filled += length
	}
	return into[:filled], nil
}

// delta sends a range of a file as content does, but of a block that the other end knows only that it is the same.
func (a *answerer) delta(file fsys.File, start, end int64, digests string, seed uint64) error {
	sum, same := uint32(0), int64(0)
	buffer := a.space()[:deltaBlock]
	tell := func() error {
		length := same
		if same = 0; length == 0 {
			return nil
		}
		if err := a.to.Byte(partSame); err != nil {
			return err
		}
		return a.to.Uint(uint64(length))
	}
	for offset := start; offset < end; {
		block, failed := readBlock(file, buffer[:min(deltaBlock, end-offset)], offset)
		if failed != nil {
			return a.failPart(failed)
		}
		if len(block) == 0 {
			break // it has become shorter
		}
		sum = crc32.Update(sum, crc32.IEEETable, block)
		offset += int64(len(block))
		if isKnown(block, &digests, seed) {
			same += int64(len(block))
			continue
		}
		if err := tell(); err != nil {
			return err
		}
		if err := sendData(a.to, block); err != nil {
			return err
		}
	}
	if err := tell(); err != nil {
		return err
	}
	return a.endPart(file, sum)
}

// isKnown takes the next digest, and tells whether it is the block's.
func isKnown(block []byte, digests *string, seed uint64) bool {
	if len(*digests) < digestSize {
		return false
	}
	expected := (*digests)[:digestSize]
	*digests = (*digests)[digestSize:]
	return string(blockDigest(block, seed)) == expected
}

func blockDigest(block []byte, seed uint64) []byte {
	sum := xxh3.Hash128Seed(block, seed).Bytes()
	return sum[:]
}

// sendData sends bytes as one part.
func sendData(to *far.Writer, data []byte) error {
	if err := to.Byte(partData); err != nil {
		return err
	}
	var header [4]byte
	putLength(header[:], len(data))
	if err := to.Write(header[:]); err != nil {
		return err
	}
	return to.Write(data)
}
