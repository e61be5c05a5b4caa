"""Which Azure DevOps event is which of ours; not whether the delivery is genuine.

The event is named in the body, never in a header.
Source: https://learn.microsoft.com/en-us/azure/devops/service-hooks/events
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from headgate import api
from headgate_plugins.azure_devops import converters, shapes

# The first of each pair is the shape the resource has to fit, the second what makes an event of it.
EVENTS: dict[str, tuple[type, Callable[[Any, str], api.Reading]]] = {
    "git.push": (shapes.Push, converters.push),
    "git.pullrequest.created": (shapes.PullRequest, converters.pull_request_created),
    "git.pullrequest.updated": (shapes.PullRequest, converters.pull_request_updated),
    "git.pullrequest.merged": (shapes.PullRequest, converters.pull_request_merged),
    "ms.vss-code.git-pullrequest-comment-event": (shapes.Commented, converters.commented),
    "build.complete": (shapes.Build, converters.build_complete),
}

PASSED_OVER = {
    "git.repo.": "a repository was made, renamed, forked or removed; pushes and polls show what it holds",
    "tfvc.checkin": "TFVC has no Git commits to build",
}
"""Events by the start of their names."""

_NIL = "00000000-0000-0000-0000-000000000000"
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says; pure. Raises `Unreadable`, and nothing else."""
    envelope = api.read_json(delivery.body, shapes.Envelope)
    event = envelope.event_type
    if not event or not (event.isascii() and event.isprintable()):
        raise api.Unreadable("`eventType` is empty or no word")
    for start, reason in PASSED_OVER.items():
        if event.startswith(start):
            return api.Ignored(reason=f"Azure DevOps event `{event[:80]}`: {reason}")
    if event not in EVENTS:
        return api.Ignored(reason=f"Azure DevOps event `{event[:80]}` is none that jobs can wait for")
    if envelope.resource is None:
        return api.Ignored(reason=f"`{event}`: {converters.TOO_LITTLE}")
    shape, convert = EVENTS[event]
    resource: Any = api.fit(envelope.resource, shape)
    try:
        return convert(resource, (envelope.message.text if envelope.message else None) or "")
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{event}` cannot be meant: {error}") from None


class _Identified(msgspec.Struct):
    id: str | None = None


def event_id(body: bytes) -> str | None:
    """The event's own id, which its notification has as `eventId`: the same however often it is sent.

    `None` for a body that has none, and for the samples of the test button, which share one.
    https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/notifications/list
    """
    try:
        found = msgspec.json.decode(body, type=_Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.lower() if found and _GUID.fullmatch(found) and found != _NIL else None
