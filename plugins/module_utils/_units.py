# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Quantities as people write them, to numbers and back.

KB, MB, GB and TB (and KiB, MiB, ...) are powers of 1024, as in the settings of databases; the bits of a rate
are decimal, as in the data sheets of networks: 1 Mbit/s is 125000 bytes per second.

Every parser takes the value and the name of its option, and raises ValueError with one line that names the
option, the value and what is allowed.
"""

from __future__ import annotations

import math
import re
import typing as t
from fractions import Fraction

KB = 1024
MB = 1024 * KB
GB = 1024 * MB
TB = 1024 * GB

# What a signed 64-bit integer holds; the executors count bytes in one.
LARGEST = 2**63 - 1

_NUMBER = r"([0-9]{1,30}(?:\.[0-9]{1,30})?)"
_QUANTITY = re.compile(_NUMBER + r"[ \t]*([A-Za-z]*)\Z")
_RATE = re.compile(_NUMBER + r"[ \t]*([A-Za-z]*)(?:[ \t]*/[ \t]*[sS])?\Z")
_PERCENTAGE = re.compile(_NUMBER + r"[ \t]*%?\Z")
_COUNT = re.compile(r"[0-9]{1,30}\Z")
_DURATION = re.compile(rf"(?:{_NUMBER}[ \t]*([A-Za-z]+)[ \t]*)+\Z")
_DURATION_PART = re.compile(_NUMBER + r"[ \t]*([A-Za-z]+)")
_TARGET = re.compile(r"[ \t]*(<=|>=|<|>)?[ \t]*(.*)\Z", re.DOTALL)

_BYTES = {"b": 1}
for _power, _letter in enumerate("kmgtpe", 1):
    for _suffix in ("", "b", "ib"):
        _BYTES[_letter + _suffix] = 1024**_power
_BITS = {"bit": 1, "kbit": 1000, "mbit": 1000**2, "gbit": 1000**3, "tbit": 1000**4}
_SECONDS = {"ms": Fraction(1, 1000)}
_SECONDS.update({"s": Fraction(1), "sec": Fraction(1), "m": Fraction(60), "min": Fraction(60)})
_SECONDS.update({"h": Fraction(3600), "d": Fraction(86400)})

_SIZE_ALLOWED = "a size; give bytes or a number with B, KB, MB, GB, TB, such as 50MB"
_RATE_ALLOWED = "a rate; give a number with B/s, KB/s, MB/s, GB/s or kbit/s, Mbit/s, Gbit/s, such as 10MB/s"
_PERCENTAGE_ALLOWED = "a percentage; give a number from 0 to {} with %, such as 80%"
_DURATION_ALLOWED = "a duration; give seconds or a number with ms, s, m, h, d, such as 30s or 24h"


class Target(t.NamedTuple):
    """A bound to judge a measurement by: '< 80%' is Target('<', 80.0)."""

    operator: str
    value: float

    def met_by(self, measured: float) -> bool:
        """Whether *measured*, in the unit of the value, keeps the bound."""
        return {
            "<": measured < self.value,
            "<=": measured <= self.value,
            ">": measured > self.value,
            ">=": measured >= self.value,
        }[self.operator]


def parse_size(value: t.Any, option: str, minimum: int = 0, maximum: int = LARGEST) -> int:
    """Bytes of '50MB', '1.5 GiB', '65536' or 65536; part of a byte in a number with a unit is rounded."""
    number = _plain_number(value)
    if number is None and isinstance(value, str):
        match = _QUANTITY.match(value.strip())
        unit = _BYTES.get(match.group(2).lower() or "b") if match else None
        if match and unit is not None:
            number = Fraction(match.group(1)) * unit
            number = Fraction(round(number)) if unit > 1 else number
    if number is None or number.denominator != 1:
        raise ValueError(f"{option}: {shown(value)} is not {_SIZE_ALLOWED}")
    return int(_within(number, value, option, minimum, maximum, size_text))


def parse_rate(value: t.Any, option: str, bare: str = "B", minimum: int = 0, maximum: int = LARGEST) -> int:
    """Bytes per second of '10MB/s', '400Mbit/s' or a bare number.

    *bare* is the unit of a bare number: 'B' for bytes per second, 'MB' for MB/s.
    """
    number = _plain_number(value)
    if number is not None:
        number *= _BYTES[bare.lower()]
    elif isinstance(value, str):
        match = _RATE.match(value.strip())
        if match:
            number = _rate_of(match.group(1), match.group(2), value, option, bare)
    if number is None:
        raise ValueError(f"{option}: {shown(value)} is not {_RATE_ALLOWED}")
    return int(_within(Fraction(round(number)), value, option, minimum, maximum, rate_text))


def parse_percentage(value: t.Any, option: str, maximum: float = 100.0) -> float:
    """Per cent of '80%', '80' or 80."""
    number = _plain_number(value)
    if number is None and isinstance(value, str):
        match = _PERCENTAGE.match(value.strip())
        number = Fraction(match.group(1)) if match else None
    if number is None or number > maximum:
        raise ValueError(f"{option}: {shown(value)} is not {_PERCENTAGE_ALLOWED.format(_number_text(maximum))}")
    return float(number)


def parse_duration(value: t.Any, option: str, minimum: float = 0.0, maximum: float = math.inf) -> float:
    """Seconds of '24h', '1h 30m', '500ms', '60' or 60."""
    number = _plain_number(value)
    if number is None and isinstance(value, str):
        text = value.strip()
        units = [(Fraction(part), _SECONDS.get(unit.lower())) for part, unit in _DURATION_PART.findall(text)]
        if re.match(_NUMBER + r"\Z", text):
            number = Fraction(text)
        elif _DURATION.match(text) and all(unit is not None for _part, unit in units):
            number = sum((part * unit for part, unit in units if unit is not None), Fraction(0))
    if number is None:
        raise ValueError(f"{option}: {shown(value)} is not {_DURATION_ALLOWED}")
    return float(_within(number, value, option, minimum, maximum, format_duration))


def parse_count(value: t.Any, option: str, minimum: int = 0, maximum: int = LARGEST) -> int:
    """A whole number, as such or as its digits."""
    number = _plain_number(value)
    if number is None and isinstance(value, str) and _COUNT.match(value.strip()):
        number = Fraction(value.strip())
    if number is None or number.denominator != 1:
        wrong = "is below 0" if _is_negative(value) else "is not a whole number"
        raise ValueError(f"{option}: {shown(value)} {wrong}; give {_span(minimum, maximum)}")
    return int(_within(number, value, option, minimum, maximum, _number_text))


def parse_target(value: t.Any, option: str, parse: t.Callable[[t.Any, str], float], operator: str = "<") -> Target:
    """A bound such as '< 80%'. *parse* reads the quantity; *operator* counts where the value has none."""
    given, quantity = None, value
    if isinstance(value, str):
        match = _TARGET.match(value)
        if match:
            given, quantity = match.groups()
    try:
        return Target(given or operator, parse(quantity, option))
    except ValueError as exc:
        hint = "" if given is None else "; <, <=, > or >= may stand before it"
        raise ValueError(f"{exc}{hint}") from None


def size_text(size: float) -> str:
    """*size* bytes exactly, in the greatest unit that gives a whole number: 52428800 is '50MB'."""
    number = int(size)
    for name, unit in (("TB", TB), ("GB", GB), ("MB", MB), ("KB", KB)):
        if number and number % unit == 0:
            return f"{number // unit}{name}"
    return f"{number}B"


def rate_text(rate: float) -> str:
    """*rate* bytes per second exactly: 52428800 is '50MB/s'."""
    return size_text(rate) + "/s"


def percentage_text(percentage: float) -> str:
    """80.0 is '80%'."""
    return _number_text(percentage) + "%"


def format_size(size: float) -> str:
    """*size* bytes for people, with one decimal: 16588 is '16.2 KB'."""
    for name, unit in (("TB", TB), ("GB", GB), ("MB", MB), ("KB", KB)):
        # 1023.95 and more would be shown as 1024.0 of the smaller unit.
        if size >= unit * (1 - 0.05 / 1024):
            return f"{size / unit:.1f} {name}"
    return f"{int(size)} B"


def format_rate(rate: float) -> str:
    """*rate* bytes per second for people: '16.2 KB/s'."""
    return format_size(rate) + "/s"


def format_duration(seconds: float) -> str:
    """*seconds* for people: '0.4 s', '1 min 15 s', '2 h', '3 d 4 h'; whole seconds from one minute on."""
    if round(seconds, 1) < 60:
        return f"{_number_text(round(seconds, 1))} s"
    left = int(seconds + 0.5)
    parts = []
    for name, unit in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)


def shown(value: t.Any) -> str:
    """*value* for an error message: on one line, of limited length."""
    # str() takes the subclasses off that the controller tags its values with.
    text = repr(str(value)) if isinstance(value, str) else "".join(str(value).splitlines())
    return text if len(text) <= 60 else text[:57] + "..."


def _plain_number(value: t.Any) -> Fraction | None:
    """A finite number that is not negative; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not math.isfinite(value) or value < 0:
        return None
    return Fraction(value)


def _is_negative(value: t.Any) -> bool:
    return isinstance(value, int) and value < 0


def _rate_of(digits: str, unit: str, value: str, option: str, bare: str) -> Fraction | None:
    per_second = value.rstrip().lower().endswith("s") and "/" in value
    if not unit and not per_second:
        return Fraction(digits) * _BYTES[bare.lower()]
    bits = _BITS.get(unit.lower())
    if bits is not None:
        return Fraction(digits) * bits / 8
    factor = _BYTES.get(unit.lower())
    if factor is None or not per_second:
        return None
    if unit.endswith("b"):
        raise ValueError(f"{option}: {shown(value)} may mean bits or bytes; give MB/s for bytes or Mbit/s for bits")
    return Fraction(digits) * factor


def _within(
    number: Fraction, value: t.Any, option: str, minimum: float, maximum: float, text: t.Callable[[float], str]
) -> Fraction:
    if number < minimum:
        raise ValueError(f"{option}: {shown(value)} is too small; the least is {text(minimum)}")
    if number > maximum:
        raise ValueError(f"{option}: {shown(value)} is too great; the most is {text(maximum)}")
    return number


def _span(minimum: int, maximum: int) -> str:
    return f"{minimum} or more" if maximum == LARGEST else f"{minimum} to {maximum}"


def _number_text(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(float(number))
