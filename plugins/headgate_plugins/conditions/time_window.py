"""`time_window`: when builds may be planned; what comes outside is not kept for later.

Pure over `subject.now`, the time of planning. `from` belongs to the window, `to` does not; a window whose
`to` is not after its `from` runs over midnight and belongs to the day on which it opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headgate import api

RULE = "conditions.time_window"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = {
    "type": "string",
    "pattern": r"^(?:([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    "x-headgate-expected": "a time of day with two digits each, such as 08:00",
}
_DAY = "(?:" + "|".join(DAYS) + ")"

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        "from": _CLOCK | {"default": "00:00", "description": "When the window opens, hh:mm."},
        "to": _CLOCK | {"default": "24:00", "description": "When it closes, hh:mm; before `from`: on the next day."},
        "days": {
            "type": "string",
            "pattern": f"^{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*$",
            "x-headgate-expected": f"days such as mon-fri or sat,sun (of {', '.join(DAYS)})",
            "description": "Days on which it opens; all when absent.",
            "examples": ["mon-fri", "sat,sun"],
        },
        "timezone": {"type": "string", "default": "UTC", "description": "An IANA name, such as Europe/Berlin."},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """One compiled `time_window:` block. `opens` and `closes` are minutes of the day (`closes` up to 1440)."""

    opens: int
    closes: int
    days: frozenset[int]
    zone: ZoneInfo
    options: Mapping[str, Any]
    needs_paths: bool = False

    def judge(self, subject: api.Subject) -> api.Verdict:
        """Whether the local wall clock is inside the window."""
        local = subject.now.astimezone(self.zone)
        day, reason = self._day_of_window(local.date(), local.time())
        rule, passed = RULE, day is not None
        if day is not None and day.weekday() not in self.days:
            rule, passed, reason = f"{RULE}.days", False, f"{DAYS[day.weekday()]} is no day of the window"
        compared = dict(self.options) | {"now": local.isoformat(timespec="seconds"), "weekday": DAYS[local.weekday()]}
        return api.Verdict(passed=passed, rule=rule, reason=reason, compared=compared)

    def _day_of_window(self, today: date, clock: time) -> tuple[date | None, str]:
        """The day whose window we are in, `None` outside."""
        minute = clock.hour * 60 + clock.minute
        inside = f"{clock:%H:%M} is inside the window"
        if self.opens < self.closes:
            if self.opens <= minute < self.closes:
                return today, inside
        elif minute >= self.opens:
            return today, inside
        elif minute < self.closes:
            return today - timedelta(days=1), f"{inside} that opened the day before"
        return None, f"{clock:%H:%M} is outside the window"


def compile_time_window(options: Mapping[str, Any]) -> TimeWindow:
    """A block that fits the schema; `ValueError` for a time zone nobody knows."""
    name = options.get("timezone", "UTC")
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone: `{name}` is no IANA time zone on this machine, such as Europe/Berlin") from None
    opens, closes = _minutes(options.get("from", "00:00")), _minutes(options.get("to", "24:00"))
    if opens >= _minutes("24:00"):
        raise ValueError("from: a window cannot open at 24:00; write 00:00")
    return TimeWindow(
        opens=opens, closes=closes, days=_read_days(options.get("days")), zone=zone, options=dict(options)
    )


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _read_days(text: str | None) -> frozenset[int]:
    """`fri-mon` goes over the end of the week."""
    if text is None:
        return frozenset(range(7))
    result: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        start = DAYS.index(first)
        length = (DAYS.index(last or first) - start) % 7
        result |= {(start + offset) % 7 for offset in range(length + 1)}
    return frozenset(result)


KIND = api.ConditionKind(
    name="time_window",
    summary="At which hours and on which days builds are planned",
    schema=SCHEMA,
    compile=compile_time_window,
)
