# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every module says about itself; a module adds C(support), and C(platforms)."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status that a run would have; changes nothing then.
  diff_mode:
    description: Returns what changed, or would change in check mode, when in diff mode.
  idempotent:
    description: A second run on an unchanged source reports no change and changes nothing.
  async:
    description: Supports being used with the C(async) keyword.
    support: full
  platform:
    description: Operating systems of the host that runs the module.
    support: full
"""

    FILES = r"""
attributes:
  action_group:
    description: Takes the defaults given for these groups in C(module_defaults).
    support: full
    membership:
      - migration.assistant.all
      - migration.assistant.files
"""

    DATABASE = r"""
attributes:
  action_group:
    description: Takes the defaults given for these groups in C(module_defaults).
    support: full
    membership:
      - migration.assistant.all
      - migration.assistant.database
"""

    ALL = r"""
attributes:
  action_group:
    description: Takes the defaults given for this group in C(module_defaults).
    support: full
    membership:
      - migration.assistant.all
"""
