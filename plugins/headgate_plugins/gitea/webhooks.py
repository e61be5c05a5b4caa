"""Which event of Gitea, Forgejo or Gogs is which of ours, and what of a delivery is signed; not whether it is genuine.

Gitea also sends the headers of Gogs and GitHub, and Forgejo those of Gitea: only a flavour's own are looked at.
Sources: https://docs.gitea.com/usage/repository/webhooks and https://forgejo.org/docs/latest/user/webhooks/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from headgate import api
from headgate_plugins.gitea import converters, pull_requests, shapes
from headgate_plugins.gitea.flavours import Flavour

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 8

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Conversion: TypeAlias = tuple[type, Callable[[Any], api.Reading]]
"""The shape the payload has to fit, and what makes an event of it."""

EVENTS: Mapping[str, Conversion] = {
    "push": (shapes.PushPayload, converters.push),
    "pull_request": (shapes.PullRequestPayload, pull_requests.pull_request),
    "pull_request_sync": (shapes.PullRequestPayload, pull_requests.pull_request),
    "pull_request_label": (shapes.PullRequestPayload, pull_requests.pull_request),
    "pull_request_review": (shapes.PullRequestPayload, pull_requests.pull_request),
    "reviewed": (shapes.PullRequestPayload, pull_requests.pull_request),
    "pull_request_approved": (shapes.PullRequestPayload, partial(pull_requests.review, verdict="approved")),
    "pull_request_rejected": (shapes.PullRequestPayload, partial(pull_requests.review, verdict="rejected")),
    "pull_request_comment": (shapes.PullRequestPayload, partial(pull_requests.review, verdict="comment")),
    "issue_comment": (shapes.CommentPayload, converters.comment),
    "release": (shapes.ReleasePayload, converters.release),
    "status": (shapes.StatusPayload, converters.status),
    "workflow_run": (shapes.WorkflowRunPayload, converters.workflow_run),
    "workflow_job": (shapes.WorkflowJobPayload, converters.workflow_job),
    "action_run_success": (shapes.ActionRunPayload, converters.action_run),
    "action_run_failure": (shapes.ActionRunPayload, converters.action_run),
    "action_run_recover": (shapes.ActionRunPayload, converters.action_run),
}

UNUSED: Mapping[str, str] = {
    "fork": "a fork changes nothing in this repository",
    "issues": "jobs do not wait for issues",
    "repository": "a repository was made or deleted; pushes and polling show its content",
    "package": "jobs do not wait for packages",
    "wiki": "jobs do not wait for wiki pages",
}

# What only one kind of payload has at its top, the most telling first; `deleted` is told from `created` below. A wiki's
# page has a `comment`, too, and a comment the `pull_request` it is on.
MARKS: Mapping[str, str] = {
    "forkee": "fork",
    "workflow_job": "workflow_job",
    "workflow_run": "workflow_run",
    "page": "wiki",
    "comment": "issue_comment",
    "pull_request": "pull_request",
    "release": "release",
    "after": "push",
    "package": "package",
    "run": "action_run_success",
    "context": "status",
    "issue": "issues",
    "organization": "repository",
}


def read(delivery: api.Delivery, flavour: Flavour) -> api.Reading:
    """What a delivery says; pure. Raises `Unreadable`, and nothing else."""
    try:
        content = signed_content(delivery)
    except ValueError as error:
        raise api.Unreadable(str(error)) from None
    payload = api.read_plain_json(content)
    event = _event(delivery, flavour) or _shown(payload)
    if event is None:
        return api.Ignored(reason=f"there is no header {flavour.header}-event, and the body is that of no known event")
    if event in UNUSED:
        return api.Ignored(reason=f"{flavour.title} event `{event}`: {UNUSED[event]}")
    conversion = _conversion(event, flavour)
    if conversion is None:
        return api.Ignored(reason=f"{flavour.title} event `{event[:80]}` is none that jobs can wait for")
    shape, convert = conversion
    fitting: Any = api.fit(payload, shape)
    try:
        return convert(fitting)
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{event}` cannot be meant: {error}") from None


def _conversion(event: str, flavour: Flavour) -> Conversion | None:
    if event == "create":
        return shapes.RefPayload, partial(converters.created, tags_are_pushed=flavour.tags_are_pushed)
    if event == "delete":
        return shapes.RefPayload, partial(converters.deleted, tags_are_pushed=flavour.tags_are_pushed)
    return EVENTS.get(event)


def _event(delivery: api.Delivery, flavour: Flavour) -> str | None:
    """The event's name; `None` when no header gives one.

    Some versions of Gitea send an empty name with their newer events (`status`), and the full one in the other header.
    """
    name = f"{flavour.header}-event"
    names = [value for key, value in delivery.headers if key == name]
    if names == [""]:
        return delivery.header(f"{name}-type") or None
    if not names:
        return None
    if len(names) > 1 or not (names[0].isascii() and names[0].isprintable()):
        raise api.Unreadable(f"the header {name} is doubled or no word")
    return names[0]


def _shown(payload: Any) -> str | None:
    """The event that a payload without its header shows to be: kept deliveries often lost their headers."""
    if not isinstance(payload, dict) or not ({"repository", "run"} & payload.keys()):
        return None
    if "ref_type" in payload:
        return "delete" if "pusher_type" in payload else "create"
    return next((event for mark, event in MARKS.items() if mark in payload), None)


def signed_content(delivery: api.Delivery) -> bytes:
    """The JSON, which is what is signed: the body itself, or of a form the value of its field `payload`, as it decodes.

    Raises `ValueError` for a form without exactly one such field. Its other fields are not signed and not read.
    """
    content_type = (delivery.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type != FORM:
        return delivery.body
    fields = delivery.body.split(b"&", MOST_FIELDS)
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"the form has more than {MOST_FIELDS} fields")
    pairs = [field.partition(b"=") for field in fields]
    values = [_decoded(value) for name, _, value in pairs if _decoded(name) == b"payload"]
    if len(values) != 1:
        raise ValueError(f"the form has {len(values)} fields named payload instead of one")
    return values[0]


def _decoded(text: bytes) -> bytes:
    """https://url.spec.whatwg.org/#urlencoded-parsing, but for half an escape, which is refused as Go does it."""
    if _BROKEN_ESCAPE.search(text):
        raise ValueError("the form has a percent sign that escapes nothing")
    return unquote_to_bytes(text.replace(b"+", b" "))
