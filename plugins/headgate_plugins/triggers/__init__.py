"""The triggers a job file has out of the box: push, tag, change_request, poll, manual; not what happens after a match."""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.triggers import change_request, manual, poll, push, tag

HEADGATE_API = 1


@api.hookimpl
def headgate_triggers() -> Iterable[api.TriggerKind]:
    """One kind for each word under `triggers:`."""
    yield push.KIND
    yield tag.KIND
    yield change_request.KIND
    yield poll.KIND
    yield manual.KIND
