// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux

package far

import "migration.assistant/engine/internal/tcp"

const hasProxy = false

type proxy struct{ command string }

func openProxy(*Socket) (*proxy, error) { return nil, tcp.ErrUnsupported }

func (p *proxy) socket() *tcp.Socket { return nil }

func (p *proxy) failure() error { return nil }

func (p *proxy) close() {}

// HandOver gives an error: this platform has no such connections.
func HandOver(string) error { return tcp.ErrUnsupported }
