"""Which Gerrit event is which of ours; not whether the delivery is genuine.

Webhooks and the stream carry the same JSON, which names its type itself.
Source: https://gerrit-review.googlesource.com/Documentation/cmd-stream-events.html#events
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headgate import api
from headgate_plugins.gerrit import converters, shapes

NO_HOST = "localhost"
"""The host of projects when a payload names none and there is no connection to ask."""

# The first of each pair is the shape the payload has to fit, the second what makes an event of it.
EVENTS: dict[str, tuple[type, Callable[[Any, str], api.Reading]]] = {
    "ref-updated": (shapes.RefUpdated, converters.ref_updated),
    "batch-ref-updated": (shapes.BatchRefUpdated, converters.batch_ref_updated),
    "patchset-created": (shapes.PatchSetCreated, converters.patchset_created),
    "draft-published": (shapes.PatchSetCreated, converters.draft_published),
    "change-merged": (shapes.ChangeMerged, converters.change_merged),
    "change-abandoned": (shapes.ChangeAbandoned, converters.change_abandoned),
    "change-restored": (shapes.ChangeRestored, converters.change_restored),
    "comment-added": (shapes.CommentAdded, converters.comment_added),
    "wip-state-changed": (shapes.StateChanged, converters.state_changed),
    "private-state-changed": (shapes.StateChanged, converters.state_changed),
    "topic-changed": (shapes.StateChanged, converters.topic_changed),
    "hashtags-changed": (shapes.HashtagsChanged, converters.hashtags_changed),
}

WHY_NOT = {
    "assignee-changed": "who is to look at a change starts no build",
    "change-deleted": "a deleted change is gone with its commits",
    "custom-keyed-values-changed": "notes on a change start no build",
    "dropped-output": "Gerrit left out events for a reader that was too slow; they are asked for when we connect again",
    "merge-failed": "what was not submitted changed nothing",
    "project-created": "a new project has no branch that moved; its first push tells of itself",
    "project-head-updated": "another default branch moves no branch",
    "ref-replicated": "a mirror of Gerrit got what Gerrit had",
    "ref-replication-done": "a mirror of Gerrit got what Gerrit had",
    "ref-replication-scheduled": "a mirror of Gerrit will get what Gerrit has",
    "reviewer-added": "who is to look at a change starts no build",
    "reviewer-deleted": "who is to look at a change starts no build",
    "vote-deleted": "a vote taken back is neither a yes nor a no",
}


class _Envelope(msgspec.Struct):
    type: str


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says; pure. Raises `Unreadable`, and nothing else."""
    return read_at(delivery, NO_HOST)


def read_at(delivery: api.Delivery, host: str) -> api.Reading:
    """What a delivery to a connection says whose projects are at `host`, unless the payload names another."""
    plain = api.read_plain_json(delivery.body)
    event = api.fit(plain, _Envelope).type
    if event not in EVENTS:
        why = WHY_NOT.get(event, "is none that jobs can wait for")
        return api.Ignored(reason=f"Gerrit event `{event[:80]}`{':' if event in WHY_NOT else ''} {why}")
    shape, convert = EVENTS[event]
    payload: Any = api.fit(plain, shape)
    try:
        return convert(payload, host)
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{event}` cannot be meant: {error}") from None
