"""How Bitbucket Data Center names repositories, pages and accounts; not which connection they belong to.

A repository is `PROJECT/slug` in any letter case, a personal one `~ada/slug`.
"""

from __future__ import annotations

import re

from headgate import api
from headgate_plugins.bitbucket_server import shapes

DEFAULT_HOST = "bitbucket.invalid"
"""Of a payload without links that is read without a connection."""

_PROJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|~[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
_SLUG = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,127}")
_PAGE = re.compile(r"(?:^|/)(?P<kind>projects|users)/(?P<owner>[^/]+)/repos/(?P<slug>[^/]+)(?:/|$)", re.IGNORECASE)
_CLONE = re.compile(r"(?:^|/)scm/(?P<owner>[^/]+)/(?P<slug>[^/]+)$", re.IGNORECASE)


def normalise(text: str) -> str:
    """The lower-case `project/slug` of a path or of any URL of a repository; `ValueError` says what is wrong.

    Known are `/projects/ACME/repos/web` and what stands behind it, `/users/ada/repos/x` (`~ada/x`), git's
    `/scm/acme/web.git` and `ssh://git@…:7999/acme/web.git`, each behind a context path or not.
    """
    owner, slug = _parts(api.path_of(text).strip("/"))
    slug = slug.removesuffix(".git")
    page_of_owner = "://" in text and owner.lower() in {"projects", "users"}
    if page_of_owner or not _PROJECT.fullmatch(owner) or not _SLUG.fullmatch(slug) or slug in {".", "..", ".git"}:
        raise ValueError(f"{text!r} does not name a Bitbucket repository; write PROJECT/repository or ~user/repository")
    return f"{owner}/{slug}".lower()


def _parts(path: str) -> tuple[str, str]:
    path = re.sub(r"%7e", "~", path, flags=re.IGNORECASE)
    if found := _PAGE.search(path):
        personal = found["kind"].lower() == "users" and not found["owner"].startswith("~")
        return f"~{found['owner']}" if personal else found["owner"], found["slug"]
    if found := _CLONE.search(path):
        return found["owner"], found["slug"]
    owner, _, slug = path.partition("/")
    return owner, slug


def identity(repo: shapes.Repo, site: str | None) -> api.Repository:
    """As the host spells it. `site`: the connection's base URL, for what has no links. Raises `ValueError`."""
    path = f"{repo.project.key}/{repo.slug}"
    normalise(path)
    clones = [link for link in (repo.links.clone if repo.links else None) or () if link and link.name != "ssh"]
    url = href(repo.links) or next((link.href for link in clones if link.href), None) or site
    return api.Repository(host=api.host_of(url) if url else DEFAULT_HOST, path=path)


def page(repo: shapes.Repo, site: str | None) -> str | None:
    """Where people look at a repository."""
    link = href(repo.links)
    if link:
        return link.removesuffix("/browse")
    return f"{site}/projects/{repo.project.key}/repos/{repo.slug}" if site else None


def href(links: shapes.Links | None) -> str | None:
    """The page of an entity."""
    return next((link.href for link in (links.own if links else None) or () if link and link.href), None)


def account(user: shapes.User | None) -> str | None:
    """The name an account goes by in URLs and API; the login name in payloads that lack it."""
    return (user.slug or user.name or None) if user else None
