"""How repositories, people and pages are written in payloads and answers alike; not what either of them means."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from headgate import api
from headgate_plugins.azure_devops import shapes
from headgate_plugins.azure_devops.names import normalise

DEFAULT_HOST = "dev.azure.com"


def repository(repo: shapes.Repo, *, fallback: str = DEFAULT_HOST) -> api.Repository:
    """`project/name` on the host of its address, `fallback` without one. Raises `ValueError` for what names none."""
    path = f"{(repo.project.name if repo.project else None) or ''}/{repo.name or ''}"
    normalise(path)
    url = repo.web_url or repo.remote_url
    return api.Repository(host=api.host_of(url) if url else fallback, path=path)


def page(repo: shapes.Repo | None) -> str | None:
    """Where people open it, without the user that `remoteUrl` may have."""
    url = (repo.web_url or repo.remote_url) if repo else None
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return f"{parts.scheme}://{api.host_of(url)}{quote(parts.path.rstrip('/'), safe='/%')}"


def change_page(change: shapes.PullRequest) -> str | None:
    """Where people open a pull request."""
    whole = page(change.repository)
    return f"{whole}/pullrequest/{change.pull_request_id}" if whole else web_link(change.links)


def web_link(links: shapes.Links | None) -> str | None:
    """What `_links` has for people."""
    return links.web.href if links is not None and links.web is not None else None


def branch(ref: str | None) -> str | None:
    """The short name; `None` for any other ref."""
    return ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None


def account(person: shapes.Identity | None) -> str | None:
    """The account's name; the identity's id says nothing to people, and is taken last."""
    return (person.unique_name or person.display_name or person.id or None) if person else None


def labels(change: shapes.PullRequest) -> tuple[str, ...]:
    """Those that were not taken off again."""
    return tuple(label.name for label in change.labels or () if label.name and label.active)
