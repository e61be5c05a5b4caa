"""Answers of a GitLab as its documentation shows them, short; what the tests of calls are asked with."""

from __future__ import annotations

from headgate.api.testing.calls import Answer, calling
from headgate_plugins import gitlab

KIND = next(iter(gitlab.headgate_providers()))
A, B, C = "a1" * 20, "b2" * 20, "c3" * 20
ROOT = "/api/v4"
WEB = f"{ROOT}/projects/acme%2Fweb"
PROJECT = {
    "id": 7,
    "name": "Web",
    "path_with_namespace": "Acme/Web",
    "default_branch": "main",
    "description": None,
    "visibility": "internal",
    "archived": False,
    "web_url": "https://gitlab.example.com/Acme/Web",
    "merge_method": "merge",
}
COMMIT = {
    "id": B,
    "short_id": B[:8],
    "message": "Two\n",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
    "web_url": f"https://gitlab.example.com/Acme/Web/-/commit/{B}",
}
CHANGE = {
    "iid": 3,
    "title": "Add a thing",
    "description": "why",
    "state": "opened",
    "source_branch": "thing",
    "target_branch": "main",
    "source_project_id": 7,
    "target_project_id": 7,
    "author": {"id": 1, "username": "ada"},
    "sha": B,
    "draft": True,
    "labels": ["ci"],
    "detailed_merge_status": "draft_status",
    "merge_status": "can_be_merged",
    "merge_commit_sha": None,
    "squash_commit_sha": None,
    "references": {"full": "Acme/Web!3"},
    "web_url": "https://gitlab.example.com/Acme/Web/-/merge_requests/3",
}


def diff(new, old=None, **flags):
    return {"old_path": old or new, "new_path": new, "diff": "@@", **flags}


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


def asked_of(**changes):
    """A connection to a host of answers, with other options."""
    return calling(KIND, lambda url: {**options(url), **changes})


def paged(host, path, first, second):
    """Two pages, each a list, the first with a link to the second."""

    def answered(asked):
        if asked.query.get("page") == "2":
            return Answer(body=second)
        link = f'<{host.url}{path}?page=2&per_page=100>; rel="next", <{host.url}{path}?page=1>; rel="first"'
        return Answer(body=first, headers={"Link": link, "X-Next-Page": "2"})

    host.on("GET", path, answered)


async def every(listing):
    return [one async for one in listing]
