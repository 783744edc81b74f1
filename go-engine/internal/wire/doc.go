// SPDX-License-Identifier: GPL-3.0-or-later

// Package wire is the engine's side of the protocol that protocol/*.schema.json defines: it decodes the job line
// strictly, and emits events as whole lines of ASCII JSON. Names that are not valid UTF-8 travel as Path.
package wire
