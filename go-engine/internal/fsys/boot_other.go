// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !darwin

package fsys

func bootSession() string { return "" }
