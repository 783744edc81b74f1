# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: configuration
short_description: Read the configuration of a migration
version_added: 0.1.0
author:
  - migration.assistant contributors (!UNKNOWN)
description:
  - >-
    Reads the sections of a configuration, such as C(performance), C(network_optimization) or C(migration),
    judges every key of them, and turns them into options of the modules of this collection.
  - A key that is unknown, or a value that cannot be used, is an error that names it and what is allowed.
  - >-
    A section or key that stands twice in the file is merged. Where two keys give the same figure the more
    specific one wins.
options:
  _terms:
    description:
      - Path of the configuration file on the controller, relative to the directory that Ansible was started in.
      - >-
        Without it, or if it is empty, the sections are taken from the variables of the play, as C(-e @config.yml)
        sets them. Then a variable whose name is a slip of that of a section is refused too.
      - The file may be encrypted with ansible-vault, and its values may be templates.
    type: list
    elements: str
    required: false
  use_go_engine:
    description:
      - Whether the Go engine is preferred, where the configuration does not say so itself.
    type: str
    required: false
    env:
      - name: MIGRATION_USE_GO_ENGINE
notes:
  - >-
    Ansible itself keeps only the last of two sections of one name in a file that is given with C(-e @config.yml).
    Give the path to this plugin to have them merged.
  - Runs on the controller. The environment is that of the controller, too.
seealso:
  - module: migration.assistant.file_sync
  - module: migration.assistant.database_migrate
  - module: migration.assistant.transfer_plan
"""

EXAMPLES = r"""
- name: Read a file
  ansible.builtin.set_fact:
    configuration: "{{ lookup('migration.assistant.configuration', 'config.yml') }}"

- name: Copy with what it says, and with what the task says itself
  migration.assistant.file_sync: "{{ configuration.options.file_sync | combine(own) }}"
  vars:
    own:
      source: /srv/old/www
      destination: /srv/www

- name: Take the sections from variables, as after 'ansible-playbook site.yml -e @config.yml'
  ansible.builtin.debug:
    msg: "{{ lookup('migration.assistant.configuration', '').not_yet_used }}"
"""

RETURN = r"""
_raw:
  description: One dictionary.
  type: list
  elements: dict
  contains:
    sections:
      description: The sections that were given, apart from C(migration), merged, with the values as given.
      type: dict
      returned: always
      sample: {performance: {use_go_engine: true}}
    migration:
      description: What moves, the lists C(files), C(databases), C(uploads), C(before) and C(after).
      type: dict
      returned: always
      sample: {files: [{source: /srv/old, destination: /srv/new}], databases: [], uploads: [], before: [], after: []}
    options:
      description:
        - For each module the options that the configuration gives.
        - Other options are left out, so that the module's own defaults hold.
      type: dict
      returned: always
      sample: {file_sync: {chunk_size: 100MB, executor: auto}, database_migrate: {executor: auto}, transfer_plan: {}}
    origins:
      description: For each module and option the value and where it comes from. Options of options have a dot.
      type: dict
      returned: always
      sample:
        file_sync:
          chunk_size:
            value: 100MB
            origin: "configuration: transfer_methods.large_files.chunk_size"
    not_yet_used:
      description: Keys that were given and judged, and have no effect in this version.
      type: list
      elements: str
      returned: always
      sample: [gcs_optimization.performance.use_json_api]
    notes:
      description: Keys that were given twice with different values, and figures that give way to more specific ones.
      type: list
      elements: str
      returned: always
      sample: [parallel_optimization.chunk_size gives way to transfer_methods.large_files.chunk_size]
"""

import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.migration.assistant.plugins.module_utils import _settings
from ansible_collections.migration.assistant.plugins.plugin_utils import migration_items

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 treats every text as a template

    def trust_as_template(value: str) -> str:
        return value


display = Display()


class LookupModule(LookupBase):
    """Reads the configuration of a migration."""

    def run(
        self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        environment = {_settings.ENVIRONMENT_SWITCH: self.get_option("use_go_engine") or ""}
        try:
            settings = self._read(terms, variables or {})
            result = _result(settings, environment)
            wrong = migration_items.problems(result["migration"], result["options"])
            if wrong:
                raise _settings.SettingsError(wrong)
            return [result]
        except ValueError as exc:
            raise AnsibleLookupError(str(exc)) from exc

    def _read(self, terms: list[str], variables: dict[str, t.Any]) -> _settings.Settings:
        if len(terms) > 1:
            raise _settings.SettingsError([f"give the path of one configuration file, not of {len(terms)}"])
        path = terms[0] if terms else ""
        if not isinstance(path, str):
            raise _settings.SettingsError([f"the path of the configuration must be a text, not {type(path).__name__}"])
        return self._from_file(path, variables) if path else self._from_variables(variables)

    def _from_file(self, path: str, variables: dict[str, t.Any]) -> _settings.Settings:
        absolute = os.path.abspath(os.path.expanduser(path))
        if not os.path.isfile(absolute):
            raise _settings.SettingsError([f"{path}: there is no such configuration file ({absolute})"])
        # The loader's own copy of a file that ansible-vault encrypted; any other file itself.
        readable = self._loader.get_real_file(absolute)
        try:
            loaded = _settings.load_file(readable, path)
        finally:
            self._loader.cleanup_tmp_file(readable)
        for note in loaded.notes:
            display.warning(note)
        ignored = [
            f"{name}: the variable of this name has no effect, since the configuration comes from {path}"
            for name in _settings.SECTIONS
            if name in variables
        ]
        tree = {name: self._templar.template(_trusted(value)) for name, value in loaded.tree.items()}
        return _settings.read(tree, loaded.notes + ignored)

    def _from_variables(self, variables: dict[str, t.Any]) -> _settings.Settings:
        slips = _settings.misspelt_sections(variables)
        if slips:
            raise _settings.SettingsError(slips)
        tree = {name: self._templar.template(variables[name]) for name in _settings.SECTIONS if name in variables}
        return _settings.read(tree)


def _result(settings: _settings.Settings, environment: dict[str, str]) -> dict[str, t.Any]:
    origins = {module: _settings.resolve(settings, module, environment) for module in _settings.MODULES}
    return {
        "sections": dict(settings.sections),
        "migration": dict(settings.migration),
        # The environment is left to the action plugins: they read it too, and then say that it was the environment.
        "options": {module: _settings.module_defaults(settings, module) for module in _settings.MODULES},
        "origins": {
            module: {option: resolved._asdict() for option, resolved in options.items()}
            for module, options in origins.items()
        },
        "not_yet_used": settings.not_yet_used,
        "notes": [*settings.notes, *_settings.superseded(settings)],
    }


def _trusted(value: t.Any) -> t.Any:
    """*value* with its texts marked as templates, as those of a file of variables are."""
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value
