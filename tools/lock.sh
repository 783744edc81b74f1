#!/bin/sh
# Writes the exact versions of requirements/*.txt anew from requirements/*.in, for every supported Python.
set -eu
cd "$(dirname "$0")/.."

venv=build/venvs/lock
[ -x "$venv/bin/uv" ] || { python3 -m venv "$venv" && "$venv/bin/pip" --quiet install uv; }

lock() { # name, then options of "uv pip compile"
    name=$1
    shift
    "$venv/bin/uv" pip compile --quiet --no-annotate --upgrade \
        --custom-compile-command "make lock" "$@" "requirements/$name.in" --output-file "requirements/$name.txt"
}

lock unit --universal --python-version 3.8
lock run --universal --python-version 3.11 --constraints requirements/unit.txt
lock test --universal --python-version 3.11 --constraints requirements/run.txt --constraints requirements/unit.txt
lock core-2.18 --python-version 3.11 --constraints requirements/unit.txt
