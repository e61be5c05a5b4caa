"""A cron line written out: every number it names, and for `H` one that is stable for a repository; not when it is due.

With `H` not all repositories come due at once. Everything is written out because APScheduler reads crontabs otherwise
than cron does: it counts weekdays from Monday (`sun-tue` would run backwards, `*/2` mean other days) and refuses a
step that is longer than its range.

Source of the notation: https://www.jenkins.io/doc/book/pipeline/syntax/#cron-syntax (`H`, `H/15`, `H(0-29)`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""What 0 to 7 mean in a crontab."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One of the five: what it may hold, and up to where `*` and `H` go."""

    name: str
    low: int
    high: int
    last: int
    """The end of `*`; only the weekday's 7, a second Sunday, is beyond it."""
    hash_last: int
    """The end of `H`: a day up to 28 exists in every month."""
    words: tuple[str, ...] = ()


FIELDS: tuple[Field, ...] = (
    Field(name="minute", low=0, high=59, last=59, hash_last=59),
    Field(name="hour", low=0, high=23, last=23, hash_last=23),
    Field(name="day", low=1, high=31, last=31, hash_last=28),
    Field(name="month", low=1, high=12, last=12, hash_last=12, words=MONTHS),
    Field(name="day of week", low=0, high=7, last=6, hash_last=6, words=WEEKDAYS),
)

_HASHED = re.compile(r"H(?:\((\d+)-(\d+)\))?(?:/(\d+))?")
_PLAIN = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


def resolve_cron(cron: str, *, seed: int) -> str:
    """The line with every field but `*` as a list of numbers, weekdays as names.

    Raises `ValueError` naming the field that is wrong.
    """
    parts = cron.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"a cron line has five fields (minute hour day month weekday), {cron!r} has {len(parts)}")
    return " ".join(
        _resolve(part, field, seed // (position + 1))
        for position, (part, field) in enumerate(zip(parts, FIELDS, strict=True))
    )


def _resolve(text: str, field: Field, seed: int) -> str:
    if text == "*":
        return text
    numbers = sorted({number for part in text.split(",") for number in _numbers(part, field, seed)})
    if field.words is WEEKDAYS:
        return ",".join(dict.fromkeys(WEEKDAYS[number] for number in numbers))
    return ",".join(map(str, numbers))


def _numbers(part: str, field: Field, seed: int) -> range:
    """What one part between commas names."""
    if part.startswith("H"):
        return _hashed(part, field, seed)
    match = _PLAIN.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is no {field.name}")
    star, first_word, last_word, step = match.groups()
    first = field.low if star else _number(first_word, field)
    if last_word:
        last = _number(last_word, field)
        if last == 0 and last_word.lower() == "sun":
            last = len(WEEKDAYS) - 1  # `sat-sun` ends on the Sunday after
    else:
        last = max(first, field.last) if star or step else first
    if first > last:
        raise ValueError(f"{part!r} is no {field.name}: the range runs backwards")
    return range(first, last + 1, _step(step, part, field))


def _hashed(part: str, field: Field, seed: int) -> range:
    match = _HASHED.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is no {field.name}: H stands alone or as H/5 or H(0-29)")
    first, last = (int(match[1]), int(match[2])) if match[1] else (field.low, field.hash_last)
    if not field.low <= first <= last <= field.high:
        raise ValueError(f"{part!r} is no {field.name}: the range is {field.low} to {field.high}")
    if match[3] is None:
        chosen = first + seed % (last - first + 1)
        return range(chosen, chosen + 1)
    step = _step(match[3], part, field)
    return range(first + seed % min(step, last - first + 1), last + 1, step)


def _number(word: str, field: Field) -> int:
    if word.lower() in field.words:
        return field.words.index(word.lower()) + (field.low if field.words is MONTHS else 0)
    if not word.isdecimal() or not field.low <= int(word) <= field.high:
        raise ValueError(f"{word!r} is no {field.name} ({field.low} to {field.high})")
    return int(word)


def _step(text: str | None, part: str, field: Field) -> int:
    if text is None:
        return 1
    if not int(text):
        raise ValueError(f"{part!r} is no {field.name}: the step is 1 or more")
    return int(text)
