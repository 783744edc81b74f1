# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The operations in pure Python, for hosts without the Go engine. Knows nothing of Ansible.

``_runner.run(job, emit, cancelled)`` carries one job out in this process;
``python -m …_fallback`` speaks the same protocol on standard input and output.

Nothing is imported here: most jobs run by the engine, and need only a piece of this package or none.
"""
