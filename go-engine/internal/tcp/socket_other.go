// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux

package tcp

import (
	"context"

	"migration.assistant/engine/internal/wire"
)

// Socket is a connection that another process uses too.
type Socket struct{}

// Open gives ErrUnsupported.
func Open(context.Context, Endpoint, Wanted) (*Socket, error) { return nil, ErrUnsupported }

// Settings gives nothing.
func (s *Socket) Settings() []wire.Setting { return nil }

// Info gives ErrUnsupported.
func (s *Socket) Info() (Info, error) { return Info{}, ErrUnsupported }

// LimitUnsent does nothing.
func (s *Socket) LimitUnsent(int) {}

// Close does nothing.
func (s *Socket) Close() {}
