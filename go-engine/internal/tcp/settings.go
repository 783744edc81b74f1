// SPDX-License-Identifier: GPL-3.0-or-later

package tcp

import "migration.assistant/engine/internal/wire"

// Names of the settings; they are those of the task's options.
const (
	receiveBuffer = "tcp_receive_buffer"
	sendBuffer    = "tcp_send_buffer"
	noDelay       = "tcp_no_delay"
)

// Unsupported gives all wanted settings as ones that cannot be had.
func (w Wanted) Unsupported(reason string) []wire.Setting {
	var settings []wire.Setting
	add := func(id string, wanted any) {
		settings = append(settings, wire.Setting{ID: id, Wanted: wanted, Status: wire.Unsupported, Reason: reason})
	}
	if w.ReceiveBuffer > 0 {
		add(receiveBuffer, w.ReceiveBuffer)
	}
	if w.SendBuffer > 0 {
		add(sendBuffer, w.SendBuffer)
	}
	if w.NoDelay != nil {
		add(noDelay, *w.NoDelay)
	}
	return settings
}
