"""What happened between two commits, read by GitPython from mirrors we made; never from a stranger's URL or ref.

Each function runs in a thread: GitPython knows no asyncio. Only full shas, checked, reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

from git.exc import GitCommandError

import git as gitpython
from headgate import api
from headgate.git.mirrors import Mirror
from headgate.git.names import check_sha

MAX_COMMITS = 250
_TIME_LIMIT = 60.0
_FORMAT = "%H%x00%an%x00%ae%x00%B"


async def commit(mirror: Mirror, sha: str) -> api.Commit:
    """One commit (or the one a tag object points to), without its paths. Raises `NotFound`."""
    return await asyncio.to_thread(_commit, mirror, check_sha(sha))


async def changelog(
    mirror: Mirror, before: str | None, after: str, *, limit: int = MAX_COMMITS
) -> tuple[api.Commit, ...]:
    """The commits in `after` and not in `before`, oldest first as in a push, the newest `limit` of them.

    `before=None` (a new branch): only `after`. Paths are left out. Raises `NotFound` when the mirror lacks one.
    """
    return await asyncio.to_thread(_changelog, mirror, before and check_sha(before), check_sha(after), limit)


async def changed_paths(mirror: Mirror, before: str | None, after: str) -> tuple[str, ...]:
    """All paths that differ between the two commits, sorted; of a rename both names.

    `before=None`: what `after` changed against its first parent, or everything in a first commit. Bytes that are
    no UTF-8 become escapes. Raises `NotFound`.
    """
    return await asyncio.to_thread(_changed_paths, mirror, before and check_sha(before), check_sha(after))


def _commit(mirror: Mirror, sha: str) -> api.Commit:
    with _opened(mirror, sha) as repository:
        found = _log(repository, sha, max_count=1)
    if not found:  # a tag may also lead to a file or a folder
        raise api.NotFound(f"{sha} of {mirror.url} leads to no commit")
    return found[0]


def _changelog(mirror: Mirror, before: str | None, after: str, limit: int) -> tuple[api.Commit, ...]:
    with _opened(mirror, after, before) as repository:
        if before is None:
            return _log(repository, after, max_count=1)
        return _log(repository, f"{before}..{after}", max_count=limit)[::-1]


def _log(repository: gitpython.Repo, revisions: str, *, max_count: int) -> tuple[api.Commit, ...]:
    """By one `git log`: GitPython's own objects know SHA-1 only."""
    output = repository.git.log(
        revisions,
        "--",
        z=True,
        format=_FORMAT,
        max_count=max_count,
        encoding="UTF-8",
        no_mailmap=True,
        stdout_as_string=False,
        kill_after_timeout=_TIME_LIMIT,
    )
    words = bytes(output).decode(errors="replace").split("\0")
    return tuple(
        api.Commit(id=sha, message=message.rstrip("\n"), author=api.Person(name=name, email=email))
        for sha, name, email, message in zip(words[0::4], words[1::4], words[2::4], words[3::4], strict=False)
    )


def _changed_paths(mirror: Mirror, before: str | None, after: str) -> tuple[str, ...]:
    with _opened(mirror, after, before) as repository:
        output = repository.git.diff_tree(
            *((before, after) if before is not None else (f"{after}^{{commit}}",)),
            "--",
            r=True,
            z=True,
            name_only=True,
            no_renames=True,
            root=True,
            no_commit_id=True,
            diff_merges="first-parent",
            stdout_as_string=False,
            kill_after_timeout=_TIME_LIMIT,
        )
    names = bytes(output).split(b"\0")
    return tuple(sorted(name.decode(errors="backslashreplace") for name in names if name))


@contextlib.contextmanager
def _opened(mirror: Mirror, *shas: str | None) -> Iterator[gitpython.Repo]:
    """The mirror, with nothing of the server's environment that could turn git elsewhere."""
    try:
        repository = gitpython.Repo(mirror.path, expand_vars=False, odbt=gitpython.GitCmdObjectDB)
    except (gitpython.InvalidGitRepositoryError, gitpython.NoSuchPathError):
        raise api.NotFound(f"there is no mirror of {mirror.url}") from None
    with contextlib.closing(repository):
        repository.git.update_environment(
            HOME=os.devnull,
            XDG_CONFIG_HOME=os.devnull,
            GIT_DIR=str(mirror.path),
            GIT_COMMON_DIR=str(mirror.path),
            GIT_OBJECT_DIRECTORY=str(mirror.path / "objects"),
            GIT_ALTERNATE_OBJECT_DIRECTORIES="",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_CONFIG_COUNT="0",
            GIT_CONFIG_PARAMETERS="",
            GIT_ATTR_NOSYSTEM="1",
            GIT_ALLOW_PROTOCOL="",
            GIT_TERMINAL_PROMPT="0",
            GIT_EXTERNAL_DIFF="",
            GIT_NO_LAZY_FETCH="1",
        )
        try:
            yield repository
        except (GitCommandError, ValueError, gitpython.BadName) as error:
            asked = " or ".join(sha for sha in shas if sha is not None)
            raise api.NotFound(f"the mirror of {mirror.url} has no {asked}, or it cannot be read") from error
