"""Which GitLab event is which of ours; not whether the delivery is genuine.

Source: https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgate import api
from headgate_plugins.gitlab import converters, shapes

HEADER = "x-gitlab-event"

# The first of each pair is the shape the payload has to fit, the second what makes an event of it.
EVENTS: dict[str, tuple[type, Callable[[Any], api.Reading]]] = {
    "push": (shapes.PushPayload, converters.push),
    "tag_push": (shapes.PushPayload, converters.push),
    "merge_request": (shapes.MergeRequestPayload, converters.merge_request),
    "note": (shapes.NotePayload, converters.note),
    "release": (shapes.ReleasePayload, converters.release),
    "pipeline": (shapes.PipelinePayload, converters.pipeline),
    "build": (shapes.JobPayload, converters.job),
}

KINDS = {
    "Push Hook": "push",
    "Tag Push Hook": "tag_push",
    "Merge Request Hook": "merge_request",
    "Note Hook": "note",
    "Confidential Note Hook": "note",
    "Release Hook": "release",
    "Pipeline Hook": "pipeline",
    "Job Hook": "build",
    "Build Hook": "build",
}
"""The header's words, and how the body calls the same."""

SYSTEM = "System Hook"
"""One word for all that a whole server tells; the body says what."""

UNWANTED = {
    "repository_update": "the system hooks `push` and `tag_push` say the same ref by ref; tick them at the hook",
    "project_create": "a project's content is seen by its pushes and by polling",
    "project_destroy": "a project's content is seen by its pushes and by polling",
    "project_rename": "a job names its repository; write the new name there",
    "project_transfer": "a job names its repository; write the new name there",
    "group_rename": "a job names its repository; write the new name there",
    "issue": "an issue changes nothing that is built",
    "work_item": "a work item changes nothing that is built",
    "wiki_page": "wikis are not built",
    "deployment": "deployments start no builds here",
    "Issue Hook": "an issue changes nothing that is built",
    "Confidential Issue Hook": "an issue changes nothing that is built",
    "Work Item Hook": "a work item changes nothing that is built",
    "Wiki Page Hook": "wikis are not built",
    "Deployment Hook": "deployments start no builds here",
}
"""Reasons for what people are likely to have ticked."""


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says; pure. Raises `Unreadable`, and nothing else.

    The header names the event. Without one, and for system hooks, the body does.
    """
    event = delivery.header(HEADER)
    if event is None and any(name == HEADER for name, _ in delivery.headers):
        raise api.Unreadable("the header X-Gitlab-Event is doubled")
    if event is not None and not (event.isascii() and event.isprintable() and event):
        raise api.Unreadable("the header X-Gitlab-Event is empty or no word")
    if event is None or event == SYSTEM:
        return _by_body(delivery.body)
    if event not in KINDS:
        return _unwanted(event)
    return _converted(KINDS[event], _payload(delivery.body))


def _by_body(body: bytes) -> api.Reading:
    payload = _payload(body)
    named = api.fit(payload, shapes.Named)
    kind = named.object_kind or named.event_name
    if not kind:
        raise api.Unreadable("neither the header X-Gitlab-Event nor the body names the event")
    return _converted(kind, payload) if kind in EVENTS else _unwanted(kind)


def _payload(body: bytes) -> Any:
    """What GitLab's documentation shows, and people record, has lines that stand twice."""
    return api.read_plain_json(body, repeated_text=True)


def _converted(kind: str, payload: Any) -> api.Reading:
    shape, convert = EVENTS[kind]
    shaped: Any = api.fit(payload, shape)
    try:
        return convert(shaped)
    except ValueError as error:
        raise api.Unreadable(f"the payload of `{kind}` cannot be meant: {error}") from None


def _unwanted(event: str) -> api.Ignored:
    reason = UNWANTED.get(event, "it is none that jobs can wait for")
    return api.Ignored(reason=f"GitLab event `{event[:80]}`: {reason}")
