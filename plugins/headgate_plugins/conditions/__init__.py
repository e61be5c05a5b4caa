"""The conditions a job file has out of the box: message, author, time_window; not what asked for the build."""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.conditions import author, message, time_window

HEADGATE_API = 1


@api.hookimpl
def headgate_conditions() -> Iterable[api.ConditionKind]:
    """One kind for each word under `conditions:`."""
    yield message.KIND
    yield author.KIND
    yield time_window.KIND
