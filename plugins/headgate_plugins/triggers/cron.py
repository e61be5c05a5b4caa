"""Whether a five-field timetable can be read; not when it comes due, which is the host's.

Fields are those of crontab(5), plus `H`, `H/n` and `H(from-to)` for a number that is stable for a repository.
"""

from __future__ import annotations

import re

FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_PART = re.compile(
    r"(?P<base>\*|H(?:\((?P<spread_from>\d{1,2})-(?P<spread_to>\d{1,2})\))?"
    r"|(?P<start>\d{1,2}|[a-z]{3})(?:-(?P<end>\d{1,2}|[a-z]{3}))?)(?:/(?P<step>\d{1,3}))?"
)


def check_cron(text: str) -> None:
    """Raises `ValueError` naming the field that cannot be read and why."""
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"cron: `{text}` has {len(parts)} fields; write minute hour day month weekday")
    for (name, low, high, names), field in zip(FIELDS, parts, strict=True):
        several = field.split(",")
        if len(several) > 1 and "H" in field:
            raise ValueError(f"cron: `{field}` is no {name}: H stands alone or as H/5 or H(0-29)")
        for part in several:
            _check_part(part, name, low, high, names)


def _check_part(part: str, field: str, low: int, high: int, names: tuple[str, ...]) -> None:
    found = _PART.fullmatch(part if part.startswith("H") else part.lower())
    if found is None:
        raise ValueError(f"cron: `{part}` is no {field}")
    ends = [
        _number(found[key], field, low, high, names)
        for key in ("spread_from", "spread_to", "start", "end")
        if found[key] is not None
    ]
    if (found["end"] or "") == "sun":
        ends[-1] = high  # `sat-sun` ends on the Sunday after
    if ends != sorted(ends):
        raise ValueError(f"cron: `{part}` ends before it starts")
    if found["step"] is not None and not 1 <= int(found["step"]) <= high - low + 1:
        raise ValueError(f"cron: `{part}` is no {field}: the step is 1 to {high - low + 1}")


def _number(text: str, field: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + (low if field == "month" else 0)
    if not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"cron: `{text}` is no {field} ({low} to {high})")
    return int(text)
