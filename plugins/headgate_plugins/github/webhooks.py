"""Which GitHub event is which of ours; not whether the delivery is genuine.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from headgate import api
from headgate_plugins.github import converters, shapes

FORM = "application/x-www-form-urlencoded"

# The first of each pair is the shape the payload has to fit, the second what makes an event of it.
EVENTS: dict[str, tuple[type, Callable[[Any], api.Reading]]] = {
    "push": (shapes.PushPayload, converters.push),
    "pull_request": (shapes.PullRequestPayload, converters.pull_request),
    "pull_request_review": (shapes.ReviewPayload, converters.review),
    "issue_comment": (shapes.IssueCommentPayload, converters.issue_comment),
    "pull_request_review_comment": (shapes.ReviewCommentPayload, converters.review_comment),
    "commit_comment": (shapes.CommitCommentPayload, converters.commit_comment),
    "release": (shapes.ReleasePayload, converters.release),
    "ping": (shapes.PingPayload, converters.ping),
    "status": (shapes.StatusPayload, converters.status),
    "check_suite": (shapes.CheckSuitePayload, converters.check_suite),
    "check_run": (shapes.CheckRunPayload, converters.check_run),
    "workflow_run": (shapes.WorkflowRunPayload, converters.workflow_run),
}

SAID_BY_PUSH = {
    "create": "a new branch or tag arrives as `push`, too, with its commits",
    "delete": "a deleted branch or tag arrives as `push`, too, with the commit it pointed to",
    "merge_group": "what waits in a merge queue arrives as `push`, too, of the branch `gh-readonly-queue/…` it is on",
}


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says; pure. Raises `Unreadable`, and nothing else."""
    event = delivery.header("x-github-event")
    if not event or not (event.isascii() and event.isprintable()):
        raise api.Unreadable("the header X-GitHub-Event is missing, empty, doubled or no word")
    if event in SAID_BY_PUSH:
        return api.Ignored(reason=f"GitHub event `{event}`: {SAID_BY_PUSH[event]}")
    if event not in EVENTS:
        return api.Ignored(reason=f"GitHub event `{event[:80]}` is none that jobs can wait for")
    shape, convert = EVENTS[event]
    payload: Any = api.read_json(_payload(delivery), shape)
    try:
        return convert(payload)
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{event}` cannot be meant: {error}") from None


def read_offline(delivery: api.Delivery) -> api.Reading:
    """As `read`; a body without its header is read as the event whose keys it has. Only for `headgate parse`."""
    if any(name == "x-github-event" for name, _ in delivery.headers):
        return read(delivery)
    payload = api.read_plain_json(_payload(delivery))
    keys = payload.keys() if isinstance(payload, dict) else frozenset[str]()
    event = next((event for event, told_by in TOLD_BY.items() if told_by <= keys), None)
    if event is None and keys:
        return api.Ignored(
            reason="the body is that of no event jobs can wait for; the header X-GitHub-Event would tell"
        )
    if event is None:
        raise api.Unreadable("give the header X-GitHub-Event: the body does not tell which event it is")
    headers = (*delivery.headers, ("x-github-event", event))
    return read(msgspec.structs.replace(delivery, headers=headers))


# The first whose keys are all there; what has more of them stands before what has some. Those that no job can wait for
# stand here because they carry what others are told by.
TOLD_BY: dict[str, frozenset[str]] = {
    "workflow_job": frozenset({"workflow_job"}),
    "deployment_status": frozenset({"deployment_status"}),
    "deployment": frozenset({"deployment"}),
    "deployment_review": frozenset({"workflow_run", "since"}),
    "discussion_comment": frozenset({"comment", "discussion"}),
    "pull_request_review_thread": frozenset({"thread", "pull_request"}),
    "pull_request_review": frozenset({"review", "pull_request"}),
    "pull_request_review_comment": frozenset({"comment", "pull_request"}),
    "issue_comment": frozenset({"comment", "issue"}),
    "commit_comment": frozenset({"comment", "repository"}),
    "pull_request": frozenset({"pull_request", "action"}),
    "check_run": frozenset({"check_run"}),
    "check_suite": frozenset({"check_suite"}),
    "workflow_run": frozenset({"workflow_run"}),
    "release": frozenset({"release", "action"}),
    "ping": frozenset({"zen", "hook_id"}),
    "status": frozenset({"context", "state", "sha"}),
    "push": frozenset({"ref", "before", "after", "commits"}),
}


def _payload(delivery: api.Delivery) -> bytes:
    """The JSON: the body itself, or the field `payload` of a form. GitHub signs the body as sent in both cases."""
    content_type = (delivery.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type != FORM:
        return delivery.body
    try:
        fields = parse_qsl(delivery.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=8)
    except ValueError as error:
        raise api.Unreadable(f"the body is no form: {error}") from None
    values = [value for name, value in fields if name == "payload"]
    if len(values) != 1:
        raise api.Unreadable(f"the form has {len(values)} fields named payload instead of one")
    return values[0].encode()
