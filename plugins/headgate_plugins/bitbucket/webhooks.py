"""Which Bitbucket event is which of ours; not whether the delivery is genuine.

Source: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from headgate import api
from headgate_plugins.bitbucket import converters, shapes

# The first of each pair is the shape the payload has to fit, the second what makes an event of it.
EVENTS: dict[str, tuple[type, Callable[[Any], api.Reading]]] = {
    "repo:push": (shapes.PushPayload, converters.push),
    "pullrequest:created": (shapes.PullRequestPayload, partial(converters.pull_request, action="opened")),
    "pullrequest:updated": (shapes.PullRequestPayload, partial(converters.pull_request, action="updated")),
    "pullrequest:approved": (shapes.PullRequestPayload, partial(converters.pull_request, action="approved")),
    "pullrequest:changes_request_created": (
        shapes.PullRequestPayload,
        partial(converters.pull_request, action="rejected"),
    ),
    "pullrequest:fulfilled": (shapes.PullRequestPayload, partial(converters.pull_request, action="merged")),
    "pullrequest:rejected": (shapes.PullRequestPayload, partial(converters.pull_request, action="closed")),
    "pullrequest:comment_created": (shapes.ChangeCommentPayload, partial(converters.change_comment, action="created")),
    "pullrequest:comment_updated": (shapes.ChangeCommentPayload, partial(converters.change_comment, action="edited")),
    "pullrequest:comment_deleted": (shapes.ChangeCommentPayload, partial(converters.change_comment, action="deleted")),
    "repo:commit_comment_created": (shapes.CommitCommentPayload, converters.commit_comment),
    "repo:commit_status_created": (shapes.StatusPayload, converters.status),
    "repo:commit_status_updated": (shapes.StatusPayload, converters.status),
}

QUIET = {
    "pullrequest:unapproved": "an approval that is taken back says neither yes nor no",
    "pullrequest:changes_request_removed": "a request for changes that is taken back says neither yes nor no",
    "pullrequest:comment_resolved": "a resolved comment still says the same",
    "pullrequest:comment_reopened": "a comment that is open again still says the same",
}
"""Events that are known, and say nothing a job could wait for."""


TOLD_BY: dict[str, frozenset[str]] = {
    "pullrequest:comment_created": frozenset({"pullrequest", "comment"}),
    "repo:commit_comment_created": frozenset({"commit", "comment"}),
    "repo:commit_status_updated": frozenset({"commit_status"}),
    "repo:push": frozenset({"push"}),
}
"""The keys of events that their bodies tell; the first whose keys are all there."""

CHANGES_BY_STATE = {
    "OPEN": "pullrequest:updated",
    "MERGED": "pullrequest:fulfilled",
    "DECLINED": "pullrequest:rejected",
}


def read_offline(delivery: api.Delivery) -> api.Reading:
    """As `read`; a body without its header is read as the event whose keys it has. Only for `headgate parse`.

    A body does not tell whether an open pull request was just opened or changed: it is read as changed.
    """
    if any(name == "x-event-key" for name, _ in delivery.headers):
        return read(delivery)
    payload = api.read_plain_json(delivery.body)
    keys = payload.keys() if isinstance(payload, dict) else frozenset[str]()
    event = next((event for event, told_by in TOLD_BY.items() if told_by <= keys), None)
    if event is None and isinstance(change := payload.get("pullrequest") if keys else None, dict):
        event = CHANGES_BY_STATE.get(str(change.get("state")), "pullrequest:updated")
    if event is None:
        raise api.Unreadable("give the header X-Event-Key: the body does not tell which event it is")
    return read(msgspec.structs.replace(delivery, headers=(*delivery.headers, ("x-event-key", event))))


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says; pure. Raises `Unreadable`, and nothing else."""
    event = delivery.header("x-event-key")
    if not event or not (event.isascii() and event.isprintable()):
        raise api.Unreadable("the header X-Event-Key is missing, empty, doubled or no word")
    if event in QUIET:
        return api.Ignored(reason=f"Bitbucket event `{event}`: {QUIET[event]}")
    if event not in EVENTS:
        return api.Ignored(reason=f"Bitbucket event `{event[:80]}` is none that jobs can wait for")
    shape, convert = EVENTS[event]
    payload: Any = api.read_json(delivery.body, shape)
    try:
        return convert(payload)
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{event}` cannot be meant: {error}") from None
