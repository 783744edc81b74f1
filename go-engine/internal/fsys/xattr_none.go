// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !linux && !darwin && !freebsd && !netbsd

package fsys

import "errors"

// This platform has no extended attributes that are worth the name.
const (
	KeepsAttributes  = false
	KeepsAccessLists = false
)

// Attributes gives none.
func (h Handle) Attributes() (Attributes, error) { return nil, nil }

// EntryAttributes gives none.
func (d Directory) EntryAttributes(string) (Attributes, error) { return nil, nil }

// Supports tells that no attribute could be kept.
func (h Handle) Supports(string) bool { return false }

// SetAttribute sets none.
func (h Handle) SetAttribute(_, _ string) error { return errors.ErrUnsupported }

// RemoveAttribute removes none.
func (h Handle) RemoveAttribute(string) error { return nil }

// AttributesAreReachable tells that there are none to miss.
func AttributesAreReachable() bool { return true }

// Transferable tells that no attribute is of use here.
func Transferable(string) bool { return false }
