"""From Gerrit's shapes to our events, or to a reason why there is none; pure.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant.
"""

from __future__ import annotations

import re

from headgate import api
from headgate_plugins.gerrit import shapes
from headgate_plugins.gerrit.names import normalise

CODE_REVIEW = "Code-Review"
"""The label that approves. https://gerrit-review.googlesource.com/Documentation/config-labels.html#label_Code-Review"""

APPROVES, REJECTS = 2, -2
"""Its votes that let a change pass or block it; those between are opinions."""

MOST_DIGITS = 12

# https://git-scm.com/docs/git-check-ref-format
_REF = re.compile(r"refs(/[^\x00-\x20\x7f~^:?*\[\\/]+)+")
_NOT_IN_REF = ("..", "@{", "/.", ".lock/")
_PATCH_SET_REF = re.compile(r"refs/changes/[0-9]+/[0-9]+/[0-9]+")


def ref_updated(payload: shapes.RefUpdated, host: str) -> api.Reading:
    """A branch or tag was pushed, made, deleted, or moved by a submit."""
    return _moved([payload.ref_update], payload.submitter, host)


def batch_ref_updated(payload: shapes.BatchRefUpdated, host: str) -> api.Reading:
    """The same of several refs."""
    return _moved(payload.ref_updates, payload.submitter, host)


def _moved(updates: list[shapes.RefUpdate], submitter: shapes.Account | None, host: str) -> api.Reading:
    events = [event for update in updates if (event := _move(update, submitter, host)) is not None]
    if not events:
        refs = ", ".join(update.ref_name[:80] for update in updates[:5]) or "nothing"
        return api.Ignored(reason=f"{refs} moved, which is neither a branch nor a tag; changes tell of themselves")
    return api.Parsed(events=tuple(events))


def _move(update: shapes.RefUpdate, submitter: shapes.Account | None, host: str) -> api.Push | api.Tag | None:
    ref = _ref(update.ref_name)
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return None
    before, after = api.full_sha_or_none(update.old_rev), api.full_sha_or_none(update.new_rev)
    if before is None and after is None:
        raise ValueError(f"`{ref[:80]}` has neither `oldRev` nor `newRev`")
    repository = api.Repository(host=host, path=normalise(update.project))
    actor = _name(submitter) or None
    if ref.startswith("refs/tags/"):
        tag = ref.removeprefix("refs/tags/")
        forced = api.tag_moved(before, after)
        return api.Tag(repository=repository, ref=ref, tag=tag, before=before, after=after, actor=actor, forced=forced)
    return api.Push(repository=repository, ref=ref, before=before, after=after, actor=actor)


def patchset_created(payload: shapes.PatchSetCreated, host: str) -> api.Reading:
    """Opened with the first patch set, updated with each later one, whatever its `kind`.

    Also one that changes only the message is another commit, which needs its own vote unless Gerrit copies it.
    https://gerrit-review.googlesource.com/Documentation/config-labels.html#label_copyCondition
    """
    first = payload.patch_set is not None and _number(payload.patch_set.number) == 1
    return _happened(payload, "opened" if first else "updated", payload.uploader, host)


def draft_published(payload: shapes.PatchSetCreated, host: str) -> api.Reading:
    """A draft of servers before 2.15 was shown to everybody."""
    return _happened(payload, "ready", payload.uploader, host)


def change_merged(payload: shapes.ChangeMerged, host: str) -> api.Reading:
    """Submitted; the branch tells of its move in an event of its own."""
    return _happened(payload, "merged", payload.submitter, host)


def change_abandoned(payload: shapes.ChangeAbandoned, host: str) -> api.Reading:
    """Closed without being submitted."""
    return _happened(payload, "closed", payload.abandoner, host)


def change_restored(payload: shapes.ChangeRestored, host: str) -> api.Reading:
    """Open again."""
    return _happened(payload, "reopened", payload.restorer, host)


def state_changed(payload: shapes.StateChanged, host: str) -> api.Reading:
    """Work in progress or private, or no longer: what only its owner works on is a draft."""
    return _happened(payload, "draft" if _is_draft(payload) else "ready", payload.changer, host)


def topic_changed(payload: shapes.StateChanged, host: str) -> api.Reading:
    """Words about the change."""
    return _happened(payload, "edited", payload.changer, host)


def hashtags_changed(payload: shapes.HashtagsChanged, host: str) -> api.Reading:
    """Labels, where the event says on which commit; Gerrit usually does not."""
    payload.change.hashtags = payload.hashtags
    if payload.added:
        return _happened(payload, "labelled", payload.editor, host)
    return _happened(payload, "unlabelled", payload.editor, host)


def comment_added(payload: shapes.CommentAdded, host: str) -> api.Reading:
    """A vote of Code-Review that decides is something that happens to the change; words are a comment beside it."""
    events: list[api.Event] = []
    verdict = _verdict(payload)
    sha = api.full_sha_or_none(payload.patch_set.revision) if payload.patch_set else None
    if verdict is not None and payload.patch_set is not None and sha is not None:
        events.append(_change(payload, payload.patch_set, verdict, payload.author, host))
    if payload.comment:
        events.append(
            api.Comment(
                repository=_repository(payload, host),
                on="review",
                action="created",
                body=payload.comment,
                author=_name(payload.author),
                change=_number(payload.change.number),
                sha=sha,
                actor=_name(payload.author) or None,
                url=payload.change.url,
            )
        )
    if not events:
        return api.Ignored(reason="a review without words or a vote that decides")
    return api.Parsed(events=tuple(events))


def _verdict(payload: shapes.CommentAdded) -> api.ChangeAction | None:
    """What this comment voted, not what its author voted before and Gerrit repeats."""
    for approval in payload.approvals or ():
        if approval.type != CODE_REVIEW or approval.value is None:
            continue
        value = _vote(approval.value)
        if approval.old_value is not None:
            voted = _vote(approval.old_value) != value
        else:  # servers before 2.13 say it in the words' first line only
            voted = f"{CODE_REVIEW}{value:+d}" in (payload.comment or "").partition("\n")[0].split()
        if voted and value >= APPROVES:
            return "approved"
        if voted and value <= REJECTS:
            return "rejected"
    return None


def _happened(
    payload: shapes.ChangeEvent, action: api.ChangeAction, actor: shapes.Account | None, host: str
) -> api.Reading:
    if payload.patch_set is None or api.full_sha_or_none(payload.patch_set.revision) is None:
        return api.Ignored(reason=f"the change was {action}, and the event does not say at which commit it is")
    return api.Parsed(events=(_change(payload, payload.patch_set, action, actor, host),))


def _change(
    payload: shapes.ChangeEvent,
    patch_set: shapes.PatchSet,
    action: api.ChangeAction,
    actor: shapes.Account | None,
    host: str,
) -> api.ChangeRequest:
    change = payload.change
    repository, number, ref = _repository(payload, host), _number(change.number), _patch_set_ref(change, patch_set)
    return api.ChangeRequest(
        repository=repository,
        number=number,
        action=action,
        title=change.subject or "",
        # A change is uploaded to no branch: what git would call its commits shortly.
        source=api.ChangeSource(
            repository=repository, branch=ref.removeprefix("refs/"), sha=api.full_sha(patch_set.revision)
        ),
        target=api.ChangeTarget(branch=change.branch.removeprefix("refs/heads/")),
        author=_name(change.owner),
        actor=_name(actor) or None,
        url=change.url,
        draft=_is_draft(payload),
        labels=tuple(change.hashtags or ()),
        head_ref=ref,
    )


def _patch_set_ref(change: shapes.Change, patch_set: shapes.PatchSet) -> str:
    """As it is sent, else as Gerrit makes it. https://gerrit-review.googlesource.com/Documentation/concept-refs-for-namespace.html"""
    number, patch = _number(change.number), _number(patch_set.number)
    if patch_set.ref is not None and _PATCH_SET_REF.fullmatch(patch_set.ref):
        return patch_set.ref
    return f"refs/changes/{number % 100:02d}/{number}/{patch}"


def _is_draft(payload: shapes.ChangeEvent) -> bool:
    old = payload.patch_set is not None and bool(payload.patch_set.is_draft)
    change = payload.change
    return bool(change.wip) or bool(change.private) or change.status == "DRAFT" or old


def _repository(payload: shapes.ChangeEvent, host: str) -> api.Repository:
    url = payload.change.url
    path = normalise(payload.change.project or payload.project or "")
    return api.Repository(host=api.host_of(url) if url else host, path=path)


def _ref(text: str) -> str:
    ref = text if text.startswith("refs/") else f"refs/heads/{text}"
    bad = any(part in ref for part in _NOT_IN_REF) or ref.endswith((".", ".lock"))
    if bad or not _REF.fullmatch(ref):
        raise ValueError(f"{text[:80]!r} is no ref name")
    return ref


def _number(value: shapes.Number) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise ValueError(f"{text[:80]!r} is no number of a change or patch set")
    return int(text)


def _vote(value: shapes.Number) -> int:
    text = str(value)
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS):
        raise ValueError(f"{text[:80]!r} is no vote")
    return int(text)


def _name(account: shapes.Account | None) -> str:
    """What Gerrit knows of it: the user name, which is unique, else the address or the name."""
    return (account.username or account.email or account.name or "") if account else ""
