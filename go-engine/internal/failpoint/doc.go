// SPDX-License-Identifier: GPL-3.0-or-later

// Package failpoint lets the crash tests end the engine at a chosen point: built with -tags failpoints, the process
// kills itself at the N-th hit of a name that MIGRATION_FAILPOINT gives as NAME:N, and adds the name of each hit to
// the file that MIGRATION_FAILPOINT_LOG names. In any other build it does nothing.
package failpoint
