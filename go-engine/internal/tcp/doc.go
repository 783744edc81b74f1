// SPDX-License-Identifier: GPL-3.0-or-later

// Package tcp opens connections with the options of TCP that a task asks for, and reads what the kernel knows of them.
package tcp
