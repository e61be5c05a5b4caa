"""`H` in a cron line: a number that is stable for one repository, so that all of them do not come due at once.

Source of the notation: https://www.jenkins.io/doc/book/pipeline/syntax/#cron-syntax (`H`, `H/15`, `H(0-29)`).
"""

from __future__ import annotations

import re

FIELDS: tuple[tuple[str, int, int], ...] = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 28),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
"""Each field with the range `H` may take; a day up to 28 exists in every month."""

LAST_DAY = 31

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""What 0 to 7 mean in a crontab; APScheduler counts from Monday, so the numbers are written out as names."""

_HASHED = re.compile(r"H(?:\((\d+)-(\d+)\))?(?:/(\d+))?")


def resolve_cron(cron: str, *, seed: int) -> str:
    """The line with every `H` replaced by plain numbers; raises `ValueError` naming the field that is wrong."""
    parts = cron.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"a cron line has five fields (minute hour day month weekday), {cron!r} has {len(parts)}")
    resolved = [
        _resolve(part, name, low, high, seed // (position + 1))
        for position, (part, (name, low, high)) in enumerate(zip(parts, FIELDS, strict=True))
    ]
    resolved[-1] = _name_weekdays(resolved[-1])
    return " ".join(resolved)


def _resolve(part: str, name: str, low: int, high: int, seed: int) -> str:
    if "H" not in part:
        return part
    match = _HASHED.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is no {name}: H stands alone or as H/5 or H(0-29)")
    first, last = (int(match[1]), int(match[2])) if match[1] else (low, high)
    limit = LAST_DAY if name == "day" else high
    if not low <= first <= last <= limit:
        raise ValueError(f"{part!r} is no {name}: the range is {low} to {limit}")
    if match[3] is None:
        return str(first + seed % (last - first + 1))
    step = int(match[3])
    if not 1 <= step <= last - first + 1:
        raise ValueError(f"{part!r} is no {name}: the step is 1 to {last - first + 1}")
    return f"{first + seed % step}-{last}/{step}"


def _name_weekdays(field: str) -> str:
    """`1-5` → `mon-fri`, `0,6` → `sun,sat`, `*/2` as it is; a range that starts on Sunday is written out."""
    return ",".join(_name_weekday_part(part) for part in field.split(","))


def _name_weekday_part(part: str) -> str:
    span, _slash, step = part.partition("/")
    numbers = span.split("-")
    if not all(number.isdecimal() and int(number) < len(WEEKDAYS) for number in numbers):
        return part
    first, last = int(numbers[0]), int(numbers[-1])
    if first > last:
        raise ValueError(f"{part!r} is no day of week: the range runs backwards")
    days = range(first, last + 1, int(step) if step.isdecimal() and int(step) else 1)
    return ",".join(dict.fromkeys(WEEKDAYS[day] for day in days))
