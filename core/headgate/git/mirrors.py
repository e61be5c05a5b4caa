"""One bare mirror for each repository and credential, fetched once for all jobs; not a place builds work in.

A mirror knows no URL and no credential: they are given to each fetch. It is private to whoever may use the
credential it was fetched with, so two connections never read each other's mirrors.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import shutil
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from headgate import api
from headgate.git.command import Git, Growth, folder_size
from headgate.git.failures import Damaged, failure
from headgate.git.names import Location, check_ref, check_sha, check_short_sha, shown
from headgate.git.places import Places

EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
"""What a mirror holds when nobody asks for less."""

PATIENCE = 10.0
"""Seconds after which a fetch no longer counts among those of all hosts."""

_MAX_PACKS = 24
_KEY_BYTES = 32
_USED = "headgate-used"


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A bare repository of ours at `path`; `url` says, for people, where it came from."""

    path: Path
    url: str


class _Round:
    """One fetch, about to run or running, and all who wait for it."""

    def __init__(self) -> None:
        self.refspecs: set[str] = set()
        self.shas: set[str] = set()
        self.missing: set[str] = set()
        self.prune = False
        self.task: asyncio.Task[None] | None = None


class Mirrors:
    """All mirrors below `root`. For one event loop; one process at a time may use a `root`.

    `concurrency`: fetches at once, over all repositories; `per_host`: from one host. One that takes longer than
    `patience` seconds, perhaps because its host does not answer, counts for its host alone.
    """

    def __init__(
        self, git: Git, root: Path, *, concurrency: int = 6, per_host: int = 4, patience: float = PATIENCE
    ) -> None:
        """Makes `root` (mode 0700) when missing; starts nothing."""
        self.git = git
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = _read_key(root / "key")
        self._running: dict[Path, _Round] = {}
        self._waiting: dict[Path, _Round] = {}
        self._tidied: set[Path] = set()
        self._places = Places(concurrency, each=per_host, patience=patience)

    async def fetch(
        self,
        source: api.CloneSource,
        *,
        refs: Sequence[str] | None = None,
        sha: str | None = None,
        change_ref: str | None = None,
        owner: str | None = None,
    ) -> Mirror:
        """The mirror of `source`, brought up to date; everyone who asks meanwhile shares one fetch.

        `refs`: full refs to fetch, all branches and tags when `None`. `sha`: must be there afterwards
        (`NotFound` if not); nothing is fetched when it is there already. `change_ref`: a change request's ref
        (`refs/pull/7/head`) to fetch beside them. `owner` stands for the credential when it rotates (the
        connection's name); by default each secret has its own mirror. Raises as `Git.run` does.
        """
        location = self.git.locate(source)
        specs = set(EVERYTHING) if refs is None else {f"+{check_ref(ref)}:{ref}" for ref in refs}
        if change_ref is not None:
            specs.add(f"+{check_ref(change_ref)}:{change_ref}")
        if sha is not None:
            check_sha(sha)
        mirror = Mirror(path=self._root / f"{self._identity(source, location, owner)}.git", url=shown(location.url))
        if sha is not None:
            if await self.has(mirror, sha):
                _touch(mirror)
                return mirror
            running = self._running.get(mirror.path)
            if running is not None and specs <= running.refspecs:  # it may bring the sha although it began before
                await _share(running)
                if await self.has(mirror, sha):
                    return mirror
        await self._join(mirror, source, location, specs, sha, prune=refs is None)
        if sha is not None and not await self.has(mirror, sha):
            raise api.NotFound(f"{mirror.url} has no commit {sha} that this credential may fetch")
        return mirror

    async def has(self, mirror: Mirror, sha: str) -> bool:
        """Whether the object is in the mirror."""
        if not (mirror.path / "HEAD").exists():
            return False
        with contextlib.suppress(api.ProviderError):
            await self.git.run([f"--git-dir={mirror.path}", "cat-file", "-e", check_sha(sha)], timeout=60)
            return True
        return False

    async def resolve(self, mirror: Mirror, ref: str) -> str:
        """The commit a full ref of the mirror leads to; `NotFound` when there is none. Fetches nothing."""
        try:
            done = await self.git.run(
                [f"--git-dir={mirror.path}", "rev-parse", "--verify", "--quiet", f"{check_ref(ref)}^{{commit}}"]
            )
        except api.Refused:
            raise
        except api.ProviderError:
            raise api.NotFound(f"{mirror.url} has no {ref}") from None
        return done.text

    async def expand(self, mirror: Mirror, short: str) -> str:
        """The full id of the one object of the mirror that starts with `short`; `NotFound` when there is none.

        `Conflict` when there are several. A branch of that name is never meant. Fetches nothing.
        """
        start = check_short_sha(short)
        done = await self.git.run([f"--git-dir={mirror.path}", "rev-parse", f"--disambiguate={start}"])
        found = done.text.split()
        if not found:
            raise api.NotFound(f"{mirror.url} has no commit starting with {start} on its branches and tags")
        if len(found) > 1:
            raise api.Conflict(f"{mirror.url} has {len(found)} objects whose ids start with {start}")
        return found[0]

    async def forget(self, mirror: Mirror) -> None:
        """Throw a (damaged) mirror away: the next fetch makes it anew."""
        await asyncio.to_thread(_remove, mirror.path)

    async def sweep(self, *, unused_for: timedelta) -> int:
        """Remove mirrors nobody asked for in that time, and say how many."""
        limit = time.time() - unused_for.total_seconds()
        old = []
        for path in self._root.glob("*.git"):
            mark = path / _USED
            busy = path in self._running or path in self._waiting
            if not busy and (mark.stat().st_mtime if mark.exists() else 0.0) < limit:
                old.append(path)
        for path in old:
            await asyncio.to_thread(_remove, path)
        return len(old)

    async def close(self) -> None:
        """End what still fetches."""
        tasks = [a.task for a in (*self._running.values(), *self._waiting.values()) if a.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _identity(self, source: api.CloneSource, location: Location, owner: str | None) -> str:
        """Names the folder. Keyed, so that a folder's name tells nothing about a weak password."""
        parts = [location.url]
        if owner is not None:
            parts += ["owner", owner]
        elif source.credential is not None:
            parts += [source.credential.type, source.username]
            parts += [f"{name}={value.reveal()}" for name, value in sorted(source.credential.fields.items())]
        digest = hmac.new(self._key, "\0".join(parts).encode(errors="surrogateescape"), hashlib.sha256)
        return digest.hexdigest()[:40]

    async def _join(
        self,
        mirror: Mirror,
        source: api.CloneSource,
        location: Location,
        specs: set[str],
        sha: str | None,
        *,
        prune: bool,
    ) -> None:
        """Wait for the next fetch of this mirror, which all who come before it starts share."""
        waiting = self._waiting.get(mirror.path)
        if waiting is None:
            waiting = self._waiting[mirror.path] = _Round()
            waiting.task = asyncio.create_task(self._run(waiting, mirror, source, location))
            waiting.task.add_done_callback(_look_at)
        waiting.refspecs |= specs
        waiting.prune |= prune
        if sha is not None:
            waiting.shas.add(sha)
        await _share(waiting)
        if missing := specs & waiting.missing:
            names = ", ".join(sorted(spec.partition(":")[2] for spec in missing))
            raise api.NotFound(f"{mirror.url} has no {names}, or the credential may not see it")

    async def _run(self, this: _Round, mirror: Mirror, source: api.CloneSource, location: Location) -> None:
        """One round: after the one before it, together with everyone who joined until then."""
        path = mirror.path
        try:
            while (before := self._running.get(path)) is not None and before.task is not None:
                await asyncio.wait([before.task])
            async with self._places.at(location.host):
                self._running[path] = self._waiting.pop(path)
                await self._fetch(this, mirror, source, location)
        finally:
            if self._running.get(path) is this:
                del self._running[path]
            if self._waiting.get(path) is this:
                del self._waiting[path]

    async def _fetch(self, this: _Round, mirror: Mirror, source: api.CloneSource, location: Location) -> None:
        """Fetch, and once more into a new mirror when the old one turns out to be broken."""
        fresh = not (mirror.path / "HEAD").exists()
        try:
            await self._fetch_once(this, mirror, source, location)
        except Damaged:
            if fresh:
                raise
            await self.forget(mirror)
            await self._fetch_once(this, mirror, source, location)

    async def _fetch_once(self, this: _Round, mirror: Mirror, source: api.CloneSource, location: Location) -> None:
        await self._prepare(mirror)
        args = [
            f"--git-dir={mirror.path}",
            "fetch",
            "--quiet",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--no-show-forced-updates",
            "--force",
            *(["--prune"] if this.prune else []),
            "--",
            location.url,
        ]
        growth = Growth(folder=mirror.path / "objects" / "pack", limit=self.git.max_repository_size)
        try:
            await self._fetch_refs(this, args, mirror, source, growth)
            for sha in sorted(this.shas):
                if not await self.has(mirror, sha):  # a commit no ref leads to any more, if the server still gives it
                    with contextlib.suppress(api.NotFound, api.Refused):
                        await self.git.run([*_without_prune(args), sha], source=source, growth=growth)
            await self._keep_house(mirror)
        except BaseException:
            _tidy(mirror.path)  # a killed fetch leaves locks and half packs
            raise

    async def _fetch_refs(
        self, this: _Round, args: list[str], mirror: Mirror, source: api.CloneSource, growth: Growth
    ) -> None:
        """All refs at once; git gives up on all when one is missing, so then one by one."""
        try:
            await self._fetch_specs(args, sorted(this.refspecs), mirror, source, growth)
        except api.NotFound:
            exact = sorted(spec for spec in this.refspecs if "*" not in spec)
            if not exact:
                raise
            if rest := sorted(this.refspecs - set(exact)):
                await self._fetch_specs(args, rest, mirror, source, growth)
            for spec in exact:
                try:
                    await self._fetch_specs(_without_prune(args), [spec], mirror, source, growth)
                except api.NotFound:
                    this.missing.add(spec)

    async def _fetch_specs(
        self, args: list[str], specs: list[str], mirror: Mirror, source: api.CloneSource, growth: Growth
    ) -> None:
        try:
            done = await self.git.run([*args, *specs], source=source, growth=growth)
        except api.ProviderError as error:
            if "mismatched algorithms" not in str(error):
                raise
            await self.forget(mirror)  # the first fetch of a repository that uses SHA-256
            await self._create(mirror, "sha256")
            done = await self.git.run([*args, *specs], source=source, growth=growth)
        if isinstance(complaint := failure("git fetch", done.stderr), Damaged):
            raise complaint  # it fetched around a broken pack, which would stay

    async def _prepare(self, mirror: Mirror) -> None:
        if not (mirror.path / "HEAD").exists():
            await self._create(mirror, "sha1")
        elif mirror.path not in self._tidied:
            await asyncio.to_thread(_tidy, mirror.path)
        self._tidied.add(mirror.path)
        _touch(mirror)

    async def _create(self, mirror: Mirror, object_format: str) -> None:
        await asyncio.to_thread(_remove, mirror.path)
        await self.git.run(
            ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", "--", str(mirror.path)]
        )

    async def _keep_house(self, mirror: Mirror) -> None:
        """Keep refs in one file and packs few; objects that no ref leads to stay, a build may still want them."""
        await self.git.run([f"--git-dir={mirror.path}", "pack-refs", "--all", "--prune"])
        if len(list((mirror.path / "objects" / "pack").glob("*.pack"))) > _MAX_PACKS:
            await self.git.run([f"--git-dir={mirror.path}", "repack", "--quiet", "-d", "--geometric=2"])

    def size(self, mirror: Mirror) -> int:
        """Bytes of its packs."""
        return folder_size(mirror.path / "objects" / "pack")


async def _share(this: _Round) -> None:
    """Wait for a round; one who gives up does not end it for the others."""
    assert this.task is not None  # noqa: S101 - set where the round is made
    await asyncio.shield(this.task)


def _look_at(task: asyncio.Task[None]) -> None:
    """Whoever waited has the error; when all gave up, asyncio need not complain about it."""
    if not task.cancelled():
        task.exception()


def _without_prune(args: list[str]) -> list[str]:
    return [arg for arg in args if arg != "--prune"]


def _touch(mirror: Mirror) -> None:
    (mirror.path / _USED).touch()


def _tidy(path: Path) -> None:
    """Remove what a killed git left: nobody else works in a mirror of ours."""
    for lock in (*path.glob("*.lock"), *path.glob("refs/**/*.lock"), *path.glob("objects/pack/tmp_*")):
        lock.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Out of the way first, so that nobody meets half a mirror."""
    with contextlib.suppress(FileNotFoundError):
        aside = path.with_name(f".{path.name}.{time.monotonic_ns()}")
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _read_key(path: Path) -> bytes:
    """Random, made once for this root."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
    return path.read_bytes()
