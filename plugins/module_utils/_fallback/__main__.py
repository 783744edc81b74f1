# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

from __future__ import annotations

import sys

from ._command_line import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
