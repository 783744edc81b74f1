# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of what moves, judged on the controller as the modules will judge them, before anything moves."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.vars import merge_hash

from ansible_collections.migration.assistant.plugins.module_utils import _job_options
from ansible_collections.migration.assistant.plugins.module_utils._database import options as database
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError
from ansible_collections.migration.assistant.plugins.module_utils._files import sync
from ansible_collections.migration.assistant.plugins.module_utils._jobs.priority import PriorityError

Options = t.Mapping[str, t.Any]


class _Module(t.NamedTuple):
    """The module that moves the items of a list. check: raises for values that cannot be used on any host."""

    name: str
    argument_spec: Options
    check: t.Callable[[Options], None]
    # What belongs to the role, not to the module.
    besides: frozenset[str] = frozenset()


def _check_database(params: Options) -> None:
    database.Options.of(params)


_MODULES = {
    "files": _Module("file_sync", sync.ARGUMENT_SPEC, sync.check, frozenset({"manifest"})),
    "databases": _Module("database_migrate", database.ARGUMENT_SPEC, _check_database),
}


def problems(migration: t.Mapping[str, t.Sequence[Options]], defaults: t.Mapping[str, Options]) -> list[str]:
    """One line for each value of an item that its module would refuse: 'migration.files[0].option: ...'.

    migration: the lists of the configuration, with known names of options. defaults: per module, the options that the
    configuration gives for all items.
    """
    found = []
    for name, module in _MODULES.items():
        for number, item in enumerate(migration[name]):
            # A null means the same as no value.
            own = {option: value for option, value in item.items() if value is not None}
            found += [f"migration.{name}[{number}]{line}" for line in _judge(module, own, defaults[module.name])]
    return found


def _judge(module: _Module, own: Options, defaults: Options) -> list[str]:
    """What is wrong with an item, each line to be put behind its name."""
    if "compression" in own:  # a level is one of the kind beside which it stands
        defaults = {option: value for option, value in defaults.items() if option != "compression_level"}
    given = merge_hash(dict(defaults), {option: own[option] for option in own if option not in module.besides})
    spec = dict(_job_options.writing_job_argument_spec(), **module.argument_spec)
    validated = ArgumentSpecValidator(spec).validate(given)
    if validated.error_messages:
        return [f": {message}" for message in validated.error_messages]
    try:
        _job_options.check(validated.validated_parameters)
        module.check(validated.validated_parameters)
    except (sync.FileSyncError, DatabaseError, PriorityError, ValueError) as exc:
        # Each begins with the name of its option.
        return [f".{exc}"]
    return []
