"""Which event of Bitbucket Data Center is which of ours; not whether the delivery is genuine.

Source: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from headgate import api
from headgate_plugins.bitbucket_server import converters, shapes

PING = "diagnostics:ping"

# The first of each pair is the shape the payload has to fit, the second what makes an event of it.
EVENTS: dict[str, tuple[type, Callable[[Any, str | None], api.Reading]]] = {
    "repo:refs_changed": (shapes.PushPayload, converters.push),
    "pr:opened": (shapes.ChangePayload, converters.opened),
    "pr:from_ref_updated": (shapes.ChangePayload, converters.updated),
    "pr:modified": (shapes.ChangePayload, converters.modified),
    "pr:reopened": (shapes.ChangePayload, converters.reopened),
    "pr:reviewer:approved": (shapes.ChangePayload, converters.approved),
    "pr:reviewer:needs_work": (shapes.ChangePayload, converters.rejected),
    "pr:reviewer:changes_requested": (shapes.ChangePayload, converters.rejected),
    "pr:merged": (shapes.ChangePayload, converters.merged),
    "pr:declined": (shapes.ChangePayload, converters.closed),
    "pr:deleted": (shapes.ChangePayload, converters.closed),
    "pr:comment:added": (shapes.ChangeCommentPayload, partial(converters.change_comment, action="created")),
    "pr:comment:edited": (shapes.ChangeCommentPayload, partial(converters.change_comment, action="edited")),
    "pr:comment:deleted": (shapes.ChangeCommentPayload, partial(converters.change_comment, action="deleted")),
    "repo:comment:added": (shapes.CommitCommentPayload, partial(converters.commit_comment, action="created")),
    "repo:comment:edited": (shapes.CommitCommentPayload, partial(converters.commit_comment, action="edited")),
    "repo:comment:deleted": (shapes.CommitCommentPayload, partial(converters.commit_comment, action="deleted")),
    PING: (shapes.PingPayload, converters.ping),
}

UNDOCUMENTED = frozenset({"pr:reopened", "pr:reviewer:changes_requested"})
"""Keys that the page of events does not have. They are read, but never asked for: an unknown one spoils a webhook."""

SUBSCRIBED = tuple(key for key in EVENTS if key not in UNDOCUMENTED and key != PING)
"""What a webhook can be told to send."""

QUIET = {
    "pr:reviewer:unapproved": "a vote that was taken back says neither yes nor no",
    "pr:reviewer:updated": "who is asked to review changes nothing a job looks at",
    "pr:to_ref_updated": "the target branch moved, and the push to it says so",
    "mirror:repo_synchronized": "a mirror caught up; the push itself arrives as `repo:refs_changed`",
    "repo:forked": "a fork changes nothing in this repository",
    "repo:modified": "a repository's name or description is nothing a job looks at",
    "project:modified": "a project's name is nothing a job looks at",
    "repo:secret_detected": "a finding is no change; the push that brought it arrives as `repo:refs_changed`",
}

_FOREIGN = ("repo:push", "pullrequest:", "repo:commit_status", "issue:")


def read(delivery: api.Delivery, site: str | None = None) -> api.Reading:
    """What a delivery says; pure. `site`: the connection's base URL. Raises `Unreadable`, and nothing else."""
    body = api.read_plain_json(delivery.body)
    event = _event(delivery, body)
    if event in QUIET:
        return api.Ignored(reason=f"Bitbucket event `{event}`: {QUIET[event]}")
    if event.startswith(_FOREIGN):
        why = "is of Bitbucket Cloud or of an old add-on; use the webhooks in the repository's settings"
        return api.Ignored(reason=f"Bitbucket event `{event[:80]}` {why}")
    if event not in EVENTS:
        return api.Ignored(reason=f"Bitbucket event `{event[:80]}` is none that jobs can wait for")
    shape, convert = EVENTS[event]
    payload: Any = api.fit(body, shape)
    try:
        return convert(payload, site)
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{event}` cannot be meant: {error}") from None


def _event(delivery: api.Delivery, body: Any) -> str:
    """The key in the body counts where there is one, because the body is signed; `X-Event-Key` is not."""
    told = body.get("eventKey") if isinstance(body, dict) else None
    event = told if isinstance(told, str) and told else delivery.header("x-event-key")
    if not event and isinstance(body, dict) and body.get("test") is True:
        return PING
    if not event or not (event.isascii() and event.isprintable()):
        raise api.Unreadable("neither `eventKey` in the body nor the header X-Event-Key names an event")
    return event
