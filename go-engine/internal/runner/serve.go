// SPDX-License-Identifier: GPL-3.0-or-later

package runner

import (
	"io"
	"os"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
)

// Serve is the remote half of a transfer: over input and output it answers the engine that has connected to this host,
// which asks for trees of this host, or gives it a job.
func Serve(version string, registry operations.Registry, input, output *os.File) error {
	return far.Serve(version, input, output, func(near *far.Peer) {
		trees := origin.NewServer(nil)
		defer trees.Close()
		near.Accept(func(kind far.Kind, stream io.ReadWriteCloser) {
			if kind == far.Data {
				trees.Serve(stream)
				return
			}
			defer stream.Close()
			run(version, registry, stream, stream, near)
		})
		near.Wait()
	})
}
