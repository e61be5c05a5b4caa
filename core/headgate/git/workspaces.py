"""A build's own checkout, made from a mirror in milliseconds; not a clone, and never touched by git's hooks.

The `.git` folder is written by hand and whole: git would need several processes for it. It holds copies of the
mirror's packs, not hard links and not a pointer to the mirror: a build may write everywhere in its workspace, and
what it writes into a shared file, every later build of that repository would check out. On file systems that can,
copying shares the blocks and costs nothing. A `.git` that a build left behind is never used: it could name
programs to run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headgate import api
from headgate.git.command import Git
from headgate.git.failures import Damaged
from headgate.git.mirrors import Mirror, Mirrors
from headgate.git.names import check_ref, check_sha, shown
from headgate.git.repository import MARK, read_refs, write_repository
from headgate.git.submodules import list_submodules

SHALLOW_COPY_LIMIT = 64 * 1024 * 1024
"""Bytes of packs from which a job's `depth` is worth a process that leaves the rest of the history out."""

_WORKERS = min(4, os.cpu_count() or 1)
_NESTING = 5


async def make_workspace(
    mirrors: Mirrors,
    mirror: Mirror,
    path: Path,
    *,
    sha: str,
    ref: str | None,
    checkout: api.Checkout,
    source: api.CloneSource,
    owner: str | None = None,
) -> None:
    """Check `sha` out into `path`: on a local branch when `ref` is a branch, else detached.

    `origin` is the source's URL, with the mirror's branches and tags as git would have fetched them. With
    `checkout.clean` whatever was in `path` is removed; without it, files git does not know stay and unchanged
    ones keep their times. Submodules come from mirrors of their own (`owner` as in `Mirrors.fetch`), on the
    source's host with its credential, elsewhere over https without. A mirror that turns out to lack
    something is fetched anew, once. Raises `NotFound` when even then there is no such commit, `Refused` for what may not be checked
    out, and as `Git.run` does.
    """
    if checkout.lfs:
        raise api.Refused(
            "checkout.lfs is not possible yet: this version of Headgate checks Git LFS pointers out as they are"
        )
    check_sha(sha)
    if ref is not None:
        check_ref(ref)
    try:
        await _check_out(mirrors, mirror, path, sha=sha, ref=ref, checkout=checkout, url=source.url)
    except Damaged:
        await mirrors.forget(mirror)
        aside = ref if ref is not None and not ref.startswith(("refs/heads/", "refs/tags/")) else None
        mirror = await mirrors.fetch(source, sha=sha, change_ref=aside, owner=owner)
        await _check_out(mirrors, mirror, path, sha=sha, ref=ref, checkout=checkout, url=source.url)
    if checkout.submodules:
        await _fill_submodules(mirrors, path, checkout, source, owner, nesting=_NESTING)


async def _check_out(
    mirrors: Mirrors, mirror: Mirror, path: Path, *, sha: str, ref: str | None, checkout: api.Checkout, url: str
) -> None:
    git = mirrors.git
    commit, boundary = await _boundary(mirrors, mirror, sha, checkout.depth)
    narrow = checkout.depth is not None and mirrors.size(mirror) > SHALLOW_COPY_LIMIT
    before = await asyncio.to_thread(_clear, path, clean=checkout.clean)
    refs = await asyncio.to_thread(read_refs, mirror.path)
    await asyncio.to_thread(
        write_repository,
        path / ".git",
        mirror.path,
        commit=commit,
        ref=ref,
        url=url,
        refs=({}, True) if narrow else refs,
        boundary=() if narrow else boundary,
        sparse=checkout.sparse,
        copy=not narrow,
    )
    work = [f"--git-dir={path / '.git'}", f"--work-tree={path}", "-c", f"checkout.workers={_WORKERS}"]
    if narrow:
        await git.run(
            [
                *work,
                "-c",
                "fetch.fsckObjects=false",
                "fetch",
                "--quiet",
                "--no-tags",
                f"--depth={checkout.depth}",
                "--",
                str(mirror.path),
                commit,
            ],
            own_repository=True,
        )
        (path / ".git" / "FETCH_HEAD").unlink(missing_ok=True)
    if before is not None and await _knows(git, work, before):
        # What was checked out then, compared by content with what is there: the rest is a small difference.
        await git.run([*work, "read-tree", before])
        with contextlib.suppress(api.ProviderError):  # it ends with 1 when files differ, which is what we ask
            await git.run([*work, "update-index", "-q", "--refresh"], directory=path)
    await git.run([*work, "read-tree", "--reset", "-u", commit], directory=path)


async def _boundary(mirrors: Mirrors, mirror: Mirror, sha: str, depth: int | None) -> tuple[str, tuple[str, ...]]:
    """The commit behind `sha` (which may be a tag), and those at which a history of `depth` commits ends."""
    count = 1 if depth is None else max(64, depth * 4)
    while True:
        done = await mirrors.git.run(
            [f"--git-dir={mirror.path}", "rev-list", "--parents", f"--max-count={count}", sha, "--"]
        )
        parents = {words[0]: words[1:] for words in map(str.split, done.text.splitlines())}
        commit = next(iter(parents))
        if depth is None:
            return commit, ()
        level, seen = {commit}, {commit}
        for _ in range(depth - 1):
            level = {parent for child in level for parent in parents.get(child, [])} - seen
            seen |= level
        if seen <= parents.keys():
            return commit, tuple(sorted(child for child in level if parents[child]))
        count *= 4


async def _knows(git: Git, work: Sequence[str], sha: str) -> bool:
    try:
        await git.run([*work, "cat-file", "-e", f"{sha}^{{commit}}"])
    except api.ProviderError:
        return False
    return True


def _clear(path: Path, *, clean: bool) -> str | None:
    """Make `path` an empty folder, or one without `.git`; the commit it held before, where that is known.

    What a build left is only ever read as 40 or 64 hex digits, and never through a symlink.
    """
    if path.is_symlink() or not path.is_dir():
        remove_tree(path)
    if clean:
        remove_tree(path)
        path.mkdir(parents=True)
        return None
    path.mkdir(parents=True, exist_ok=True)
    before = None
    with contextlib.suppress(OSError, UnicodeDecodeError, api.Refused):
        descriptor = os.open(path / ".git" / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            before = check_sha(file.read(65).decode())
    remove_tree(path / ".git")
    return before


def remove_tree(path: Path) -> None:
    """Remove whatever is there, also where a build took its own permissions away or left a pipe."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)  # rmtree would open a pipe, and wait for ever
        return

    def allow(_: object, name: str, __: object) -> None:
        for place in (Path(name).parent, Path(name)):
            with contextlib.suppress(OSError):
                if not place.is_symlink():
                    place.chmod(stat.S_IRWXU)

    for _ in range(3):  # each try gets deeper into folders that were closed
        shutil.rmtree(path, onerror=allow)
        if not path.exists():
            return
    shutil.rmtree(path)


async def _fill_submodules(
    mirrors: Mirrors, path: Path, checkout: api.Checkout, source: api.CloneSource, owner: str | None, *, nesting: int
) -> None:
    """Each submodule from a mirror of its own, as deep as they nest; git itself never recurses."""
    if nesting == 0:
        raise api.Refused(f"the submodules of {shown(source.url)} nest deeper than {_NESTING}")
    for module in await list_submodules(mirrors.git, path, source):
        place = path / module.path
        await asyncio.to_thread(_refuse_symlinks, path, module.path)
        mirror = await mirrors.fetch(module.source, sha=module.sha, owner=owner if module.source.credential else None)
        await _check_out(
            mirrors,
            mirror,
            place,
            sha=module.sha,
            ref=None,
            checkout=msgspec.structs.replace(checkout, sparse=()),
            url=module.source.url,
        )
        await _fill_submodules(mirrors, place, checkout, module.source, owner, nesting=nesting - 1)


def _refuse_symlinks(path: Path, module: str) -> None:
    """A folder that a build left, or a file system that ignores case, may lead elsewhere."""
    place = path / module
    if place.parent.resolve() != path.resolve() / Path(module).parent or place.is_symlink():
        raise api.Refused(f"the submodule {module} lies behind a symlink")
