"""Which repository a payload is about, and which account it means; not how jobs may spell it, which is in `names.py`."""

from __future__ import annotations

from headgate import api
from headgate_plugins.gitea import shapes
from headgate_plugins.gitea.names import normalise

DEFAULT_HOST = "localhost"
"""Where a payload names no address; servers always do."""


def repository_of(repo: shapes.Repo) -> api.Repository:
    """By its full name, else by its owner's and its own. Raises `ValueError` when neither names a repository."""
    path = repo.full_name or f"{account(repo.owner) or ''}/{repo.name or ''}"
    normalise(path)
    url = repo.html_url or repo.clone_url or repo.url
    return api.Repository(host=api.host_of(url) if url else DEFAULT_HOST, path=path)


def account(user: shapes.User | None) -> str | None:
    """The account name, where it is said."""
    return (user.login or user.username or None) if user else None
