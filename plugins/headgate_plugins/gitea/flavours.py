"""What differs between Gitea, Forgejo and Gogs, which share a history and most of their words; not what is the same."""

from __future__ import annotations

import msgspec


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """One of the three.

    `header`: how the names of its own webhook headers begin, in lower case. `tags_are_pushed`: whether a tag that is
    made, moved or deleted arrives as `push`, too. `hook_events`: what its webhooks can be asked for in every version,
    and `newer_events` in some, which older ones pass over in silence. `edits_secrets`: whether a webhook can be given
    another secret.
    """

    name: str
    title: str
    header: str
    hook_events: tuple[str, ...]
    newer_events: tuple[str, ...] = ()
    tags_are_pushed: bool = True
    edits_secrets: bool = True


_EVENTS = (
    "delete",
    "issue_comment",
    "pull_request",
    "pull_request_comment",
    "pull_request_label",
    "pull_request_review_approved",
    "pull_request_review_comment",
    "pull_request_review_rejected",
    "pull_request_sync",
    "push",
    "release",
)

# https://docs.gitea.com/usage/repository/webhooks
GITEA = Flavour(
    name="gitea",
    title="Gitea",
    header="x-gitea",
    hook_events=_EVENTS,
    newer_events=("status", "workflow_job", "workflow_run"),
)

# https://forgejo.org/docs/latest/user/webhooks/
FORGEJO = Flavour(
    name="forgejo",
    title="Forgejo",
    header="x-forgejo",
    hook_events=_EVENTS,
    newer_events=("action_run_failure", "action_run_recover", "action_run_success"),
)

# https://gogs.io/advancing/webhooks and https://github.com/gogs/docs-api/blob/main/Repositories/Webhooks.md
GOGS = Flavour(
    name="gogs",
    title="Gogs",
    header="x-gogs",
    hook_events=("create", "delete", "issue_comment", "push", "release"),
    tags_are_pushed=False,
    edits_secrets=False,
)
