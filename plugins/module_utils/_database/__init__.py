# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The control plane of databases: inspect both sides, decide what to do, render the SQL that the executor runs.

Never moves a row, and knows nothing of Ansible.
"""
