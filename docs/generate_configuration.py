# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/configuration.md from the schema.

PYTHONPATH=build/collections python docs/generate_configuration.py
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.migration.assistant.plugins.module_utils._settings import SECTIONS, schema
from ansible_collections.migration.assistant.plugins.module_utils._settings.model import (
    KINDS,
    Key,
    ListOf,
    ModuleOptions,
)
from ansible_collections.migration.assistant.plugins.module_utils._settings.precedence import FIGURES, Figure

PATH = Path(__file__).resolve().parent / "configuration.md"

INTRODUCTION = """\
<!--
Copyright (c) 2026, migration.assistant contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Made by docs/generate_configuration.py; change the schema instead.
-->

# Configuration

    ansible-playbook migration.assistant.migrate -e migration_config=config.yml

The file is YAML on the controller. It holds the sections of the Performance Tuning Guide, and the section
`migration`, which says what moves. [examples/guide.yml](examples/guide.yml) has every section of the guide.

- A relative path counts from the directory that Ansible was started in.
- The file may be encrypted with ansible-vault, and its values may be templates such as `"{{ vault_password }}"`.
- A section or key that stands twice is merged. If both give a value, the last one counts, with a warning.
- An unknown key, or a value that cannot be used, is an error that names the key, the value and what is allowed.
- A key without a value counts as not given.
- Keys with a dash under "Feeds" are judged and listed as `not_yet_used`; they have no effect in this version.

The sections can be given as variables, too: `-e @config.yml`. Ansible itself then keeps only the last of two
sections of one name. A variable whose name is a slip of that of a section is refused; others are left alone.

## Notation

| Kind | Notation |
|---|---|
| size | bytes, or a number with B, KB, MB, GB, TB, such as `50MB`; powers of 1024, also as KiB, MiB and so on |
| rate | a size per second, such as `10MB/s`, or bits in powers of 1000, such as `400Mbit/s` |
| percentage | `80%` or `80` |
| duration | seconds, or a number with ms, s, m, h, d, such as `24h` or `1h 30m` |

## Which value counts

For each option of a module, the first of these that says something:

1. the option of the task, or of the item in `migration`;
2. the configuration;
3. the environment of the controller: `MIGRATION_USE_GO_ENGINE` for `executor`;
4. the default.

Where two keys of the configuration give the same figure the more specific one wins: the section of a method or
provider, then that of the domain, then the general one. What gives way is listed in the notes of the lookup.

"""


def document() -> str:
    """The whole document."""
    lines = ["| Figure | Key that wins | gives way | Feeds |", "|---|---|---|---|"]
    lines += [_figure_row(figure) for figure in FIGURES]
    parts = [INTRODUCTION + "\n".join(lines) + "\n", "\n## Keys\n"]
    entries: dict[str, list[schema.Entry]] = {}
    for entry in schema.entries():
        entries.setdefault(entry.path.partition(".")[0], []).append(entry)
    for name, section in SECTIONS.items():
        lines = [f"\n### {name}\n", section.meaning, ""]
        lines += ["| Key | Meaning | Value | Default | Feeds |", "|---|---|---|---|---|"]
        lines += [_key_row(name, entry) for entry in entries[name]]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def _figure_row(figure: Figure) -> str:
    first, *others = [_places(tier) for tier in figure.places]
    name = f"{figure.name} ({figure.note})" if figure.note else figure.name
    return _row(name, first, ", then ".join(others), _feeds(figure.consumer))


def _places(tier: tuple[str, ...]) -> str:
    return ("the greater of " if len(tier) > 1 else "") + " and ".join(f"`{path}`" for path in tier)


def _key_row(section: str, entry: schema.Entry) -> str:
    path, node = entry
    default = getattr(node, "default", None)
    return _row(
        f"`{path[len(section) + 1 :]}`",
        node.meaning,
        _value(node),
        "—" if default is None else f"`{_written(default)}`",
        _feeds(node.consumer),
    )


def _value(node: Key | ListOf) -> str:
    if isinstance(node, Key):
        return KINDS[node.kind].describe(node)
    if not isinstance(node.item, ModuleOptions):
        return "list of texts"
    names = ", ".join(f"`{name}`" for name in sorted(node.item.names))
    return f"list of options of `{node.item.module}`" + (f": {names}" if names else "")


def _written(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _feeds(consumer: tuple[str, ...]) -> str:
    return ", ".join(f"`{option}`" for option in consumer) or "—"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
