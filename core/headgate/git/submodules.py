"""Which submodules a checkout names and from where each may come; not the fetching of them.

`.gitmodules` is written by whoever pushed. So it decides as little as possible: a submodule comes from the
source's own host with its credential, or from another host over https without one.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from headgate import api
from headgate.git.command import Git
from headgate.git.names import Location, check_sha, check_url, shown

_GITLINK = b"160000"
_REGULAR = (b"100644", b"100755")
_MAX_SUBMODULES = 200


class Submodule(msgspec.Struct, frozen=True, kw_only=True):
    """One submodule: where it lies below the checkout, from where it comes, at which commit."""

    path: str
    source: api.CloneSource
    sha: str


async def list_submodules(git: Git, workspace: Path, source: api.CloneSource) -> tuple[Submodule, ...]:
    """The submodules of the commit checked out in `workspace`. Raises `Refused` for what must not be followed."""
    where = f"--git-dir={workspace / '.git'}"
    links: dict[str, str] = {}
    described = False
    for entry in (await git.run([where, "ls-files", "--stage", "-z"])).stdout.split(b"\0"):
        if entry.startswith(_GITLINK):
            meta, _, name = entry.partition(b"\t")
            links[_check_path(name.decode(errors="replace"))] = check_sha(meta.split(b" ")[1].decode())
        elif entry.startswith(_REGULAR) and entry.endswith(b"\t.gitmodules"):
            described = True
    if not links:
        return ()
    if len(links) > _MAX_SUBMODULES:
        raise api.Refused(f"{len(links)} submodules are more than {_MAX_SUBMODULES}")
    urls = await _read_gitmodules(git, where) if described else {}
    parent = git.locate(source)
    modules = []
    for path, sha in sorted(links.items()):
        if path not in urls:
            raise api.NotFound(f"the submodule {path} of {shown(source.url)} has no url in .gitmodules")
        modules.append(Submodule(path=path, source=_source(git, urls[path], parent, source), sha=sha))
    return tuple(modules)


def _check_path(path: str) -> str:
    parts = path.split("/")
    if (
        not path.isprintable()
        or "\\" in path
        or any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts)
    ):
        raise api.Refused(f"the submodule path `{shown(path)}` is refused")
    return path


async def _read_gitmodules(git: Git, where: str) -> dict[str, str]:
    """Path → URL, read by git from the committed file alone: `--blob` follows no include."""
    done = await git.run([where, "config", "--blob=HEAD:.gitmodules", "--no-includes", "-z", "--list"])
    paths: dict[str, str] = {}
    urls: dict[str, str] = {}
    for entry in done.stdout.decode(errors="replace").split("\0"):
        key, _, value = entry.partition("\n")
        if key.startswith("submodule.") and key.endswith(".path"):
            paths[key.removesuffix(".path")] = value
        elif key.startswith("submodule.") and key.endswith(".url"):
            urls[key.removesuffix(".url")] = value
    return {path: urls[name] for name, path in paths.items() if name in urls}


def _source(git: Git, url: str, parent: Location, source: api.CloneSource) -> api.CloneSource:
    """A source that keeps the credential only where it already goes. Raises `Refused`."""
    if url.startswith(("./", "../")):
        url = _resolve(source.url, url)
    roots = git.local_roots if parent.scheme == "local" else ()
    location = check_url(url, local_roots=roots)
    if (location.scheme, location.host, location.port) == (parent.scheme, parent.host, parent.port):
        return msgspec.structs.replace(source, url=url)
    if location.scheme != "https" or location.is_loopback:
        raise api.Refused(
            f"the submodule {shown(url)} is on another host than {shown(source.url)}; that is followed over https only"
        )
    return api.CloneSource(url=url)


def _resolve(base: str, relative: str) -> str:
    """As https://git-scm.com/docs/gitmodules has it: relative to the superproject's URL, never above its host."""
    start, separator, rest = base.rstrip("/").partition("://")
    if not separator:
        start, rest = "", base.rstrip("/")
    while relative.startswith(("./", "../")):
        if relative.startswith("./"):
            relative = relative[2:]
            continue
        relative = relative[3:]
        rest, slash, _ = rest.rpartition("/")
        if not slash:
            raise api.Refused(f"a submodule's url climbs above {shown(base)}")
    return f"{start}{separator}{rest}/{relative}"
