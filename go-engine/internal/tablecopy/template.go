// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"strconv"
	"strings"
)

// bound is a limit of a chunk: SQL text as the server rendered it; open where it is nil.
type bound *string

// chunk is a part of a table, numbered from 1: the rows above low, up to and with high.
type chunk struct {
	number    int64
	low, high bound
}

// whole is all of a table.
func whole(number int64) chunk { return chunk{number: number} }

// condition gives the SQL that stands for {range}; a table without a range is one chunk, and all of it is meant.
func (r *keyRange) condition(c chunk) string {
	var parts []string
	if c.low != nil && r != nil {
		parts = append(parts, fill(r.above, "{key}", *c.low))
	}
	if c.high != nil && r != nil {
		parts = append(parts, fill(r.upto, "{key}", *c.high))
	}
	if parts == nil {
		return "TRUE"
	}
	return strings.Join(parts, " AND ")
}

// inRange fills a template that has {range}.
func inRange(template string, r *keyRange, c chunk) string {
	return fill(template, "{range}", r.condition(c))
}

// ofKeys fills a template that has {keys}.
func ofKeys(template string, keys []string) string {
	return fill(template, "{keys}", strings.Join(keys, ", "))
}

// fill puts values in the place of names, given in turn. What was put in is not looked at again: a key may hold anything.
func fill(template string, namesAndValues ...string) string {
	return strings.NewReplacer(namesAndValues...).Replace(template)
}

// nextBound fills the template for the upper bound of the chunk that begins at low.
func (t *table) nextBound(low bound, rows int64) string {
	return fill(t.next, "{range}", t.rangeSource.condition(chunk{low: low}), "{rows}", strconv.FormatInt(rows, 10))
}

// recordOf fills the template that records a chunk; literal quotes a text for the destination.
func (t *table) recordOf(c chunk, literal func(string) string) string {
	text := func(b bound) string {
		if b == nil {
			return "NULL"
		}
		return literal(*b)
	}
	return fill(t.split, "{number}", strconv.FormatInt(c.number, 10), "{low}", text(c.low), "{high}", text(c.high))
}

// doneOf fills the template that records that a chunk is written.
func (t *table) doneOf(c chunk, rows int64) string {
	return fill(t.done, "{number}", strconv.FormatInt(c.number, 10), "{rows}", strconv.FormatInt(rows, 10))
}

// batches cuts keys into lists of a statement each.
func batches(keys []string) [][]string {
	var all [][]string
	for len(keys) > keysAtOnce {
		all, keys = append(all, keys[:keysAtOnce]), keys[keysAtOnce:]
	}
	if len(keys) > 0 {
		all = append(all, keys)
	}
	return all
}

// keysAtOnce is how many keys one statement names.
const keysAtOnce = 1000
