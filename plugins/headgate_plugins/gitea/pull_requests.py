"""From the shapes of a pull request and its reviews to our events; pure.

https://docs.gitea.com/usage/repository/webhooks and https://forgejo.org/docs/latest/user/webhooks/
"""

from __future__ import annotations

from collections.abc import Mapping

from headgate import api
from headgate_plugins.gitea import shapes
from headgate_plugins.gitea.names import normalise
from headgate_plugins.gitea.places import account, repository_of

# The defaults of WORK_IN_PROGRESS_PREFIXES. https://docs.gitea.com/usage/issues-prs/pull-request#work-in-progress-pull-requests
DRAFT_PREFIXES = ("wip:", "[wip]")

PULL = "refs/pull/"
"""How the ref of a head begins that has no branch, or has none any more."""

AGIT_FLOW = 1
"""https://codeberg.org/api/swagger, the `flow` of a pull request."""

# https://docs.gitea.com/usage/repository/webhooks; `closed`, `edited` and `label_updated` are told apart below.
CHANGE_ACTIONS: Mapping[str, api.ChangeAction] = {
    "opened": "opened",
    "synchronized": "updated",
    "reopened": "reopened",
    "label_cleared": "unlabelled",
}
QUIET_ACTIONS = frozenset(
    {"assigned", "unassigned", "milestoned", "demilestoned", "review_requested", "review_request_removed"}
)
"""Actions that change neither the code nor what a job may look at."""


def pull_request(payload: shapes.PullRequestPayload) -> api.Reading:
    """What happened to a pull request; with the action `reviewed`, what somebody thinks of it."""
    if payload.action == "reviewed":
        return review(payload)
    if payload.action == "label_updated":
        return _parsed(*(_change(payload, action) for action in _labelled(payload.changes)))
    action = CHANGE_ACTIONS.get(payload.action)
    if payload.action == "closed":
        action = "merged" if payload.pull_request.merged else "closed"
    elif payload.action == "edited":
        action = _edited(payload)
    if action is None:
        why = "changes nothing a job looks at" if payload.action in QUIET_ACTIONS else "is not known"
        return api.Ignored(reason=f"the action `{payload.action[:80]}` of a pull request {why}")
    return _parsed(_change(payload, action))


def _labelled(changes: shapes.Changes | None) -> tuple[api.ChangeAction, ...]:
    """Whether labels came, went, or both; servers that tell only those that are there now say that some came."""
    if changes is None or not changes.removed_labels:
        return ("labelled",)
    return ("labelled", "unlabelled") if changes.added_labels else ("unlabelled",)


def _edited(payload: shapes.PullRequestPayload) -> api.ChangeAction:
    """A draft is one by its title, so a new title may make or end it."""
    changed = payload.changes.title if payload.changes else None
    if changed is None or changed.from_ is None:
        return "edited"
    was, now = is_draft_title(changed.from_), is_draft_title(payload.pull_request.title)
    if was == now:
        return "edited"
    return "draft" if now else "ready"


def is_draft_title(title: str) -> bool:
    """Whether a title says that the work goes on; the prefixes are the servers' defaults, whatever the letter case."""
    return title.lower().startswith(DRAFT_PREFIXES)


VERDICTS: Mapping[str, api.ChangeAction] = {"approved": "approved", "rejected": "rejected"}


def review(payload: shapes.PullRequestPayload, verdict: str = "") -> api.Reading:
    """A verdict is something that happens to the change; its text, if any, is a comment beside it.

    `verdict`: what the event's name ends in, which counts when the payload does not say it.
    """
    said = payload.review or shapes.Review()
    word = (said.type or "").rpartition("_")[2] or verdict
    action = VERDICTS.get(word)
    change = _change(payload, action or "edited")
    events: list[api.Event] = [change] if action is not None else []
    if said.content:
        events.append(
            api.Comment(
                repository=change.repository,
                on="review",
                action="created",
                body=said.content,
                author=change.actor or "ghost",
                change=change.number,
                sha=change.source.sha,
                actor=change.actor,
                url=change.url,
            )
        )
    if not events:
        return api.Ignored(reason=f"a review of the kind `{word[:80]}` that has no text")
    return _parsed(*events)


def _change(payload: shapes.PullRequestPayload, action: api.ChangeAction) -> api.ChangeRequest:
    change = payload.pull_request
    number = change.number if change.number is not None else payload.number
    if number is None:
        raise ValueError("the pull request has no number")
    head = _side(change.head, change.head_branch, change.head_repo)
    base = _side(change.base, change.base_branch, change.base_repo)
    repository = repository_of(payload.repository)
    source, from_fork = (None, True) if _is_agit(change, head) else _source(head, base, repository)
    sha = api.full_sha_or_none(head.sha)
    branch = (head.label or head.ref) if head.ref.startswith(PULL) else head.ref
    # Gogs moves a pull request's own ref only after it has told of it; a branch has moved by then.
    moved = sha is not None or from_fork or branch != head.ref
    return api.ChangeRequest(
        repository=repository,
        number=number,
        action=action,
        title=change.title,
        source=api.ChangeSource(repository=source, branch=branch, sha=sha),
        target=api.ChangeTarget(branch=base.ref, sha=api.full_sha_or_none(base.sha)),
        author=account(change.user) or "ghost",
        actor=account(payload.sender),
        url=change.html_url or None,
        from_fork=from_fork,
        draft=change.draft if change.draft is not None else is_draft_title(change.title),
        labels=tuple(label.name for label in change.labels or ()),
        head_ref=f"refs/pull/{number}/head" if moved else f"refs/heads/{head.ref}",
    )


def _side(side: shapes.Side | None, branch: str | None, repo: shapes.Repo | None) -> shapes.Side:
    """As Gitea and Forgejo tell it, or as Gogs does, which names no commit."""
    if side is not None:
        return side
    if not branch:
        raise ValueError("the pull request names no branch")
    return shapes.Side(ref=branch, repo=repo)


def _is_agit(change: shapes.PullRequest, head: shapes.Side) -> bool:
    """Whether it was pushed to `refs/for/…`, which whoever may read the repository may do.

    Servers name the repository itself as the head's, and yet what was pushed is no more trusted than a fork; their own
    Actions take it for one, too. https://docs.gitea.com/usage/agit
    """
    return change.flow == AGIT_FLOW or (head.ref.startswith(PULL) and not head.label)


def _source(head: shapes.Side, base: shapes.Side, repository: api.Repository) -> tuple[api.Repository | None, bool]:
    """Where the head is, and whether that is a fork; who does not say it is taken for one, for it is trusted less."""
    if head.repo is not None:
        source = repository_of(head.repo)
        return source, normalise(source.path) != normalise(repository.path)
    same = head.repo_id is not None and head.repo_id == base.repo_id
    return (repository, False) if same else (None, True)


def _parsed(*events: api.Event) -> api.Parsed:
    return api.Parsed(events=events)
