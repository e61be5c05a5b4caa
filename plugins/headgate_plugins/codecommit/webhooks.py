"""Which delivery about CodeCommit is which event, whatever it is wrapped in; not whether it is genuine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgate import api
from headgate_plugins.codecommit import converters, shapes
from headgate_plugins.codecommit.converters import Place

SOURCE = "aws.codecommit"
TRIGGER = "aws:codecommit"
CONFIRMATIONS = {
    "SubscriptionConfirmation": "the topic asks whether it may send here; `confirm_subscriptions` says whether it may",
    "UnsubscribeConfirmation": "the topic's subscription was ended; it sends no more",
}

Reader = Callable[[dict[str, Any], shapes.Bridged], api.Reading]


def _reader(shape: type[Any], converter: Callable[[Any, Place], api.Reading]) -> Reader:
    def read_detail(detail: dict[str, Any], event: shapes.Bridged) -> api.Reading:
        told = api.fit(detail, shape)
        names = getattr(told, "repository_names", None) or [getattr(told, "repository_name", None)]
        return converter(told, Place(region=event.region, name=names[0], arns=event.resources))

    return read_detail


def _read_comment(detail: dict[str, Any], event: shapes.Bridged) -> api.Reading:
    told = api.fit(detail, shapes.CommentDetail)
    supplement = api.fit(event.supplement or {}, shapes.Supplement)
    place = Place(region=event.region, name=told.repository_name, arns=event.resources)
    return converters.comment(told, supplement, place)


# https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
READERS: dict[str, Reader] = {
    "CodeCommit Repository State Change": _reader(shapes.ReferenceDetail, converters.state_change),
    "CodeCommit Pull Request State Change": _reader(shapes.PullRequestDetail, converters.pull_request),
    "CodeCommit Comment on Pull Request": _read_comment,
    "CodeCommit Comment on Commit": _read_comment,
}
QUIET = {
    "CodeCommit Approval Rule Template Change": "a template of approval rules is on no change",
    "CodeCommit Comment Reaction Change": "a reaction is no comment",
}


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says, wrapped by SNS or not; pure. Raises `Unreadable`, and nothing else."""
    try:
        return _read(api.read_plain_json(delivery.body), wrapped=False)
    except ValueError as error:
        raise api.Unreadable(f"the payload cannot be meant: {error}") from None


def _read(value: Any, *, wrapped: bool) -> api.Reading:
    if not isinstance(value, dict):
        raise api.Unreadable("the payload is no object")
    if "Type" in value and not wrapped:
        envelope = api.fit(value, shapes.Envelope)
        if (reason := CONFIRMATIONS.get(envelope.type)) is not None:
            return api.Ignored(reason=reason)
        if envelope.type != "Notification":
            return api.Ignored(reason=f"`{envelope.type[:80]}` is no type of message that SNS is known to send")
        return _message(envelope.message)
    if "Records" in value:
        return _records(api.fit(value, shapes.Records), wrapped=wrapped)
    if "detail" in value:
        return _bridged(api.fit(value, shapes.Bridged))
    if wrapped:
        return api.Ignored(reason="the message is of another service of AWS")
    raise api.Unreadable("the payload is no message of SNS, no event of EventBridge and no record of a trigger")


def _message(text: str) -> api.Reading:
    """The text of an SNS message: JSON of ours, JSON of any other service, or words for people."""
    if not text.lstrip().startswith("{"):
        return api.Ignored(reason="the message is a text for people, no event of CodeCommit")
    return _read(api.read_plain_json(text.encode()), wrapped=True)


def _records(payload: shapes.Records, *, wrapped: bool) -> api.Reading:
    readings = [_record(record, wrapped=wrapped) for record in payload.records]
    events = tuple(event for one in readings if isinstance(one, api.Parsed) for event in one.events)
    if events:
        return api.Parsed(events=events)
    reasons = [one.reason for one in readings if isinstance(one, api.Ignored)]
    return api.Ignored(reason=reasons[0] if reasons else "it has no records")


def _record(record: shapes.Record, *, wrapped: bool) -> api.Reading:
    if record.sns is not None and not wrapped:
        return _message(record.sns.message)
    source = record.event_source or record.sns_source or ""
    if source != TRIGGER and record.codecommit is None:
        return api.Ignored(reason=f"a record of `{source[:80]}` is not about CodeCommit")
    arns = [record.source_arn] if record.source_arn else []
    events = converters.references(record, Place(region=record.aws_region, name=None, arns=arns))
    if not events:
        return api.Ignored(reason="the push moved neither a branch nor a tag")
    return api.Parsed(events=events)


def _bridged(event: shapes.Bridged) -> api.Reading:
    kind = event.detail_type or event.notification_type or ""
    if event.source != SOURCE:
        return api.Ignored(reason=f"an event of `{event.source[:80]}` is not about CodeCommit")
    if (reader := READERS.get(kind)) is not None:
        return reader(event.detail, event)
    reason = QUIET.get(kind, f"`{kind[:80]}` is an event that we do not know")
    return api.Ignored(reason=reason)
