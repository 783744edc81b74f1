// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"math"

	"migration.assistant/engine/internal/codec"
	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// archiveParameters are those of file_archive; sizes in bytes. A format of nil is to be found out from the archive. A
// mode of nil leaves an archive that is there as it is, and closes a new one to others.
type archiveParameters struct {
	unpack            bool
	source            string
	destination       string
	format            *codec.Format
	level             int
	parallel          int
	checksum          bool // compare contents
	filters           *filters.List
	oneFileSystem     bool
	failVanished      bool // an entry that vanishes is a failure
	preserve          preserve
	devices           bool // of an archive: as root, make them
	allowOutsideLinks bool
	maxUnpackedSize   int64
	mode              *uint32
	fsync             bool
	bufferSize        int
}

func readArchiveParameters(object *wire.Object) (*archiveParameters, error) {
	object.Required("action")
	kept := object.Object("preserve")
	parameters := &archiveParameters{
		unpack:            object.Choice("action", "pack", "unpack") == "unpack",
		source:            readPath(object, "source"),
		destination:       readPath(object, "destination"),
		parallel:          readParallel(object, "parallel", 4),
		checksum:          object.Choice("compare", "quick", "checksum") == "checksum",
		filters:           filters.Read(object, "filters"),
		oneFileSystem:     object.Bool("one_file_system", false),
		failVanished:      object.Choice("on_vanished", "warn", "fail") == "fail",
		preserve:          readPreserve(kept),
		devices:           kept.Bool("devices", false),
		allowOutsideLinks: object.Bool("allow_outside_links", false),
		maxUnpackedSize:   object.Integer("max_unpacked_size", 100<<30, 0, math.MaxInt64),
		fsync:             object.Bool("fsync", false),
		bufferSize:        int(object.Integer("buffer_size", 256<<10, 4<<10, 1<<30)),
	}
	// Where times are not kept they tell nothing.
	parameters.checksum = parameters.checksum || !parameters.preserve.timestamps
	if name := object.Choice("format", append([]string{"auto"}, codec.Names()...)...); name != "auto" {
		parameters.format = codec.Named(name)
	} else if !parameters.unpack {
		object.Report("format", "must be given to pack")
	}
	if mode, given := object.OptionalInteger("mode", 0); given {
		bits := uint32(mode) & 0o777
		parameters.mode = &bits
	}
	parameters.readLevel(object)
	return parameters, object.Err()
}

func (p *archiveParameters) readLevel(object *wire.Object) {
	level, given := object.OptionalInteger("level", 0)
	format := p.format
	if format == nil {
		return
	}
	p.level = format.Usual
	if given && (level < int64(format.Lowest) || level > int64(format.Highest)) {
		object.Report("level", "must be from %d to %d", format.Lowest, format.Highest)
	} else if given {
		p.level = int(level)
	}
}

// archive packs a tree, or unpacks an archive.
func archive(ctx context.Context, session *operations.Session, parameters *archiveParameters) (any, error) {
	if parameters.unpack {
		return unpack(ctx, session, parameters)
	}
	return pack(ctx, session, parameters)
}
