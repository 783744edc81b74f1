# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util

# On the Pythons of managed hosts only what runs there is tested; the rest needs ansible-core.
if importlib.util.find_spec("ansible") is None:
    collect_ignore_glob = ["action/*", "filter/*", "lookup/*", "modules/*", "plugin_utils/*", "tools/*"]
