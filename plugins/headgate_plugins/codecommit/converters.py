"""From the shapes of AWS to our events, or to a reason why there is none; pure, and no word about signatures.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from headgate import api
from headgate_plugins.codecommit import shapes
from headgate_plugins.codecommit.names import git_host, normalise, of_arn, page

TEST = "TriggerEventTest"
"""What the button "Test trigger" sends: where a ref is now, or zeros for an empty repository.

https://docs.aws.amazon.com/codecommit/latest/userguide/how-to-notify-test.html
"""


class Place:
    """Where something happened: the region and the repository."""

    def __init__(self, *, region: str | None, name: str | None, arns: list[str]) -> None:
        """What a payload says; what it leaves out is taken from an ARN. Raises `ValueError` when that fails, too."""
        told = next((found for arn in arns if (found := of_arn(arn)) is not None), (None, None))
        if not (region := region or told[0]) or not (name := name or told[1]):
            raise ValueError("it names no region or no repository")
        self.region = region
        self.repository = api.Repository(host=git_host(region), path=normalise(name))

    def page(self, *rest: str) -> str:
        """Where the console shows it."""
        return page(self.region, self.repository.path, *rest)


def references(record: shapes.Record, place: Place) -> tuple[api.Event, ...]:
    """What a trigger tells of a push. It never says where a ref was before."""
    events: list[api.Event] = []
    for one in record.codecommit.references if record.codecommit else ():
        commit = api.full_sha_or_none(one.commit)
        if commit is None:
            if record.event_name != TEST:
                raise ValueError(f"`{one.ref[:80]}` has no commit")
            events.append(api.Ping(repository=place.repository, actor=record.user_arn))
            continue
        before = commit if one.deleted else None
        after = None if one.deleted else commit
        move = _move(place, one.ref, before, after, actor=record.user_arn, before_known=one.created or one.deleted)
        if move is not None:
            events.append(move)
    return tuple(events)


# https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html#referenceCreated
REFERENCE_EVENTS = frozenset({"referenceCreated", "referenceUpdated", "referenceDeleted"})
PREFIXES = {"branch": "refs/heads/", "tag": "refs/tags/"}


def state_change(detail: shapes.ReferenceDetail, place: Place) -> api.Reading:
    """A branch is a `Push`, a tag a `Tag`."""
    if detail.event not in REFERENCE_EVENTS:
        return api.Ignored(reason=f"`{detail.event[:80]}` moves no branch and no tag")
    ref = detail.reference_full_name or detail.reference_name or ""
    if not ref.startswith("refs/"):
        ref = PREFIXES.get(detail.reference_type or "", "") + ref
    before, after = api.full_sha_or_none(detail.old_commit_id), api.full_sha_or_none(detail.commit_id)
    if detail.event == "referenceDeleted":
        before, after = before or after, None
    elif after is None:
        raise ValueError("`commitId` is no commit")
    elif detail.event == "referenceCreated":
        before = None
    known = before is not None or detail.event == "referenceCreated"
    move = _move(place, ref, before, after, actor=detail.caller_user_arn, before_known=known)
    if move is None:
        return api.Ignored(reason=f"`{ref[:80]}` is neither a branch nor a tag")
    return api.Parsed(events=(move,))


CHANGE_ACTIONS: dict[str, api.ChangeAction] = {
    "pullRequestCreated": "opened",
    "pullRequestSourceBranchUpdated": "updated",
}


def pull_request(detail: shapes.PullRequestDetail, place: Place) -> api.Reading:
    """https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html#pullRequestCreated"""
    action = _action(detail)
    if action is None:
        return api.Ignored(reason=f"`{detail.event[:80]}` of a pull request changes nothing a job looks at")
    number = _number(detail.pull_request_id)
    source = api.ChangeSource(
        repository=place.repository,
        branch=detail.source_reference.removeprefix("refs/heads/"),
        sha=api.full_sha(detail.source_commit),
    )
    target = api.ChangeTarget(
        branch=detail.destination_reference.removeprefix("refs/heads/"),
        sha=api.full_sha_or_none(detail.destination_commit),
    )
    change = api.ChangeRequest(
        repository=place.repository,
        number=number,
        action=action,
        title=detail.title,
        source=source,
        target=target,
        author=detail.author,
        actor=detail.caller_user_arn,
        url=place.page("pull-requests", str(number)),
    )
    return api.Parsed(events=(change,))


def _action(detail: shapes.PullRequestDetail) -> api.ChangeAction | None:
    merged = str(detail.is_merged).lower() == "true"
    if detail.event == "pullRequestApprovalStateChanged":
        return "approved" if detail.approval_status == "APPROVE" else None
    if detail.event == "pullRequestMergeStatusUpdated":
        return "merged" if merged else None
    if detail.event == "pullRequestStatusChanged":
        if (detail.pull_request_status or "").lower() == "open":
            return "reopened"
        return "merged" if merged else "closed"
    return CHANGE_ACTIONS.get(detail.event)


def comment(detail: shapes.CommentDetail, supplement: shapes.Supplement, place: Place) -> api.Reading:
    """Who commented, and on what; the text is sent by notification rules with full details alone.

    https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html#commentOnPullRequestCreated
    """
    number = None if detail.pull_request_id is None else _number(detail.pull_request_id)
    if not detail.event.endswith(("Created", "Updated")):
        return api.Ignored(reason=f"`{detail.event[:80]}` writes no comment")
    sha = api.full_sha_or_none(detail.after_commit_id)
    beside_a_line: Literal["review", "change_request"] = "review" if supplement.file_path else "change_request"
    url = place.page("commit", sha) if sha else None
    said = api.Comment(
        repository=place.repository,
        on="commit" if number is None else beside_a_line,
        action="created" if detail.event.endswith("Created") else "edited",
        body=_text(supplement.comments or [], detail.caller_user_arn),
        author=detail.caller_user_arn or "",
        change=number,
        sha=sha,
        actor=detail.caller_user_arn,
        url=url if number is None else place.page("pull-requests", str(number), "activity"),
    )
    return api.Parsed(events=(said,))


def _text(thread: list[shapes.Written], author: str | None) -> str:
    """What `author` wrote, if it is certain: nothing marks the new comment of a thread, and an older one is old news."""
    theirs = [one for one in thread if one.author_arn == author]
    if len(thread) == 1 and not (thread[0].author_arn or "").startswith("arn:"):
        theirs = thread  # an assumed role is also written as an id and a session
    return (theirs[0].comment_text or "") if len(theirs) == 1 else ""


def _move(
    place: Place, ref: str, before: str | None, after: str | None, *, actor: str | None, before_known: bool
) -> api.Push | api.Tag | None:
    if ref.startswith("refs/tags/"):
        return api.Tag(
            repository=place.repository,
            ref=ref,
            tag=ref.removeprefix("refs/tags/"),
            before=before,
            after=after,
            before_known=UNSET if before_known else False,
            actor=actor,
            forced=api.tag_moved(before, after),
        )
    if not ref.startswith("refs/heads/"):
        return None
    return api.Push(
        repository=place.repository,
        ref=ref,
        before=before,
        after=after,
        before_known=UNSET if before_known else False,
        actor=actor,
        url=place.page("commit", after) if after else None,
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):  # noqa: PLR2004 - what a 64-bit integer holds
        raise ValueError(f"{text[:80]!r} is no number of a pull request")
    return int(text)
