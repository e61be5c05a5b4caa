"""What AWS sends about CodeCommit, as it is sent, naming only what we use; not what it means.

Three wrappings (SNS over HTTP, SNS as Lambda functions get it, none) around two kinds of news: EventBridge events
and the records of a repository's triggers.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Envelope(msgspec.Struct, rename={"type": "Type", "topic": "TopicArn", "message": "Message"}):
    """An SNS message over HTTP. https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html"""

    type: str
    message: str
    topic: str | None = None


class Wrapped(msgspec.Struct, rename={"message": "Message"}):
    """An SNS message within a record."""

    message: str


class Reference(msgspec.Struct):
    """A ref that a trigger tells of. `commit` is where it is now; of a deleted one where it was."""

    ref: str
    commit: str | None = None
    created: bool = False
    deleted: bool = False


class References(msgspec.Struct):
    """The refs of one push."""

    references: list[Reference] = []


class Record(msgspec.Struct, rename="camel"):
    """One record of a trigger, or of SNS where `sns` is there (`Sns`, `EventSource` in its own spelling).

    https://docs.aws.amazon.com/codecommit/latest/userguide/how-to-notify-lambda.html
    """

    event_source: str | None = None
    event_name: str | None = None
    aws_region: str | None = None
    codecommit: References | None = None
    source_arn: str | None = msgspec.field(default=None, name="eventSourceARN")
    user_arn: str | None = msgspec.field(default=None, name="userIdentityARN")
    sns: Wrapped | None = msgspec.field(default=None, name="Sns")
    sns_source: str | None = msgspec.field(default=None, name="EventSource")


class Records(msgspec.Struct, rename={"records": "Records"}):
    """What a trigger sends, and what Lambda functions are given."""

    records: list[Record]


class Written(msgspec.Struct, rename="camel"):
    """What somebody wrote."""

    comment_text: str | None = None
    author_arn: str | None = None


class Supplement(msgspec.Struct, rename="camel"):
    """What a notification rule with full details adds to a comment: its thread, and the file it is beside.

    https://docs.aws.amazon.com/dtconsole/latest/userguide/concepts.html#detail-type
    """

    comments: list[Written] | None = None
    file_path: str | None = None


class Bridged(
    msgspec.Struct,
    rename={
        "detail_type": "detail-type",
        "notification_type": "detailType",
        "supplement": "additionalAttributes",
    },
):
    """An EventBridge event; notification rules write `detailType`, and may add something.

    https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
    """

    source: str
    detail: dict[str, Any]
    detail_type: str | None = None
    notification_type: str | None = None
    region: str | None = None
    resources: list[str] = []
    supplement: dict[str, Any] | None = None


class ReferenceDetail(msgspec.Struct, rename="camel"):
    """Of `CodeCommit Repository State Change`."""

    event: str
    repository_name: str | None = None
    reference_type: str | None = None
    reference_name: str | None = None
    reference_full_name: str | None = None
    commit_id: str | None = None
    old_commit_id: str | None = None
    caller_user_arn: str | None = None


class PullRequestDetail(msgspec.Struct, rename="camel"):
    """Of `CodeCommit Pull Request State Change`. `is_merged` is `True` or `False` as a text."""

    event: str
    pull_request_id: str
    source_reference: str
    source_commit: str
    destination_reference: str
    title: str = ""
    author: str = ""
    destination_commit: str | None = None
    repository_names: list[str] = []
    is_merged: str | bool | None = None
    pull_request_status: str | None = None
    approval_status: str | None = None
    caller_user_arn: str | None = None


class CommentDetail(msgspec.Struct, rename="camel"):
    """Of `CodeCommit Comment on Pull Request` and `… on Commit`. What was written stands in the `Supplement`, if at all."""

    event: str
    repository_name: str | None = None
    pull_request_id: str | None = None
    after_commit_id: str | None = None
    caller_user_arn: str | None = None
