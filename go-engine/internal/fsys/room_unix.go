// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix && !linux && !darwin

package fsys

import "errors"

func roomOf(int) (Room, error) { return Room{}, errors.ErrUnsupported }
