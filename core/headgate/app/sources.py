"""What polls, history and builds ask of git, each through the connection that hosts the repository."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import aiohttp
import msgspec
from msgspec.structs import replace

from headgate.api.errors import CredentialError, NotFound, ProviderError
from headgate.api.events import Push, Tag
from headgate.api.jobs import Checkout
from headgate.api.naming import tagged_commit
from headgate.api.providers import CloneSource, ClonesSource, KnowsChangedPaths
from headgate.builds.workspace import CheckedOut
from headgate.config.settings import Settings
from headgate.git import history
from headgate.git.advertisements import Advertisements
from headgate.git.command import Git
from headgate.git.mirrors import Mirror, Mirrors
from headgate.git.refs import list_refs
from headgate.git.version import git_version, warnings
from headgate.git.workspaces import make_workspace
from headgate.telemetry.metrics import Metrics
from headgate.web.ports import Connection

MIRROR_KEPT = timedelta(days=30)
"""How long a mirror is kept that no poll, no build and no rule asked for."""

ANSWER_WITHIN = 60.0
"""Seconds a provider may take to answer a question: two requests, and a pause that its host asked for."""

SWEEP_SECONDS = 86_400.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository said of its refs, and who it was (`headgate.scheduling.polls.RemoteRefs`)."""

    heads: dict[str, str]
    default_branch: str | None
    host: str
    peeled: dict[str, str] = {}


class Sources:
    """Connections as git sees them. Every method raises `ProviderError` or `CredentialError`."""

    def __init__(
        self,
        connections: Mapping[str, Connection],
        *,
        settings: Settings,
        metrics: Metrics,
        http: aiohttp.ClientSession,
    ) -> None:
        """`connections` may change; it is read at each call."""
        self._connections = connections
        self._git = Git(
            local_roots=settings.git.local_roots,
            timeout=settings.git.timeout,
            max_repository_size=settings.git.max_repository_size,
            home=settings.data / "git-home",
        )
        self._mirrors = Mirrors(self._git, settings.data / "mirrors")
        self._advertisements = Advertisements()
        self._metrics = metrics
        self._http = http

    async def check_git(self) -> tuple[str, ...]:
        """One sentence for each thing an admin should know about the git that is installed."""
        return warnings(await git_version(self._git))

    async def run(self) -> None:
        """Remove mirrors that nobody asked for in a long time, once a day; end what fetches when cancelled."""
        try:
            while True:
                await self._mirrors.sweep(unused_for=MIRROR_KEPT)
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            await self._mirrors.close()

    async def clone_source(self, connection: str, repository: str) -> CloneSource:
        """From where to fetch `repository`; says why when its connection cannot tell."""
        known = self._connections.get(connection)
        if known is None:
            raise NotFound(f"there is no connection {connection} in the configuration")
        if known.provider is None:
            raise CredentialError(f"the connection {connection} is not open: {known.problem}")
        if not isinstance(known.provider, ClonesSource):
            raise NotFound(f"the provider {known.kind} cannot say from where to clone")
        provider = known.provider
        return await known.guard.call("clone_source", lambda: provider.clone_source(repository), within=ANSWER_WITHIN)

    async def ask(self, connection: str, path: str, prefixes: tuple[str, ...]) -> Answer:
        """The heads under `prefixes`, now; what was asked for as `HEAD` under the default branch's ref."""
        source = await self.clone_source(connection, path)
        async with self._timed("ls_refs"):
            refs = await list_refs(self._git, source, prefixes, http=self._http, advertisements=self._advertisements)
        host = (self._git.locate(source).host or "localhost").lower()
        heads = dict(refs.heads)
        head = heads.pop("HEAD", None)
        if head is not None and refs.default_branch is not None:
            heads.setdefault(f"refs/heads/{refs.default_branch}", head)
        return Answer(heads=heads, default_branch=refs.default_branch, host=host, peeled=refs.peeled)

    async def complete(self, connection: str, path: str, push: Push) -> tuple[Push, tuple[str, ...]]:
        """See `headgate.flow.History`: asks the provider when it knows, and our mirror when it does not or cannot say."""
        if push.after is None:
            raise NotFound("a deletion has no commits")
        known = self._connections.get(connection)
        if known is not None and isinstance(known.provider, KnowsChangedPaths) and push.commits:
            provider = known.provider
            with suppress(ProviderError):  # too many for its API, or a limit: a fetch finds them all the same
                return push, await known.guard.call(
                    "changed_paths", lambda: provider.changed_paths(push), within=ANSWER_WITHIN
                )
        mirror, _ = await self._mirror(connection, path, push.after, push.ref)
        commits = await history.changelog(mirror, push.before, push.after)
        paths = await history.changed_paths(mirror, push.before, push.after)
        return replace(push, commits=commits or push.commits), paths

    async def follow(self, connection: str, path: str, tag: Tag) -> Tag:
        """See `headgate.flow.History`."""
        if tag.after is None:
            raise NotFound("a deleted tag leads nowhere")
        mirror, _ = await self._mirror(connection, path, tag.after, tag.ref)
        commit = await history.commit(mirror, tag.after)
        return replace(tag, commits=tag.commits or (commit,), commit=tagged_commit(commit.id, tag.after))

    async def resolve(self, connection: str, repository: str, ref: str | None) -> tuple[str, str]:
        """The full ref and its sha now; of the default branch when `ref` is `None`."""
        answer = await self.ask(connection, repository, (ref or "HEAD",))
        wanted = ref or f"refs/heads/{answer.default_branch}"
        if wanted not in answer.heads:
            name = wanted.removeprefix("refs/heads/")
            hint = f"; a tag is written in full: refs/tags/{name}" if ref and name != wanted else ""
            raise NotFound(f"{repository} has no {ref or 'default branch'}{hint}")
        return wanted, answer.peeled.get(wanted, answer.heads[wanted])

    async def full_sha(self, connection: str, repository: str, sha: str) -> str:
        """The full id behind the first digits of one."""
        source = await self.clone_source(connection, repository)
        async with self._timed("fetch"):
            mirror = await self._mirrors.fetch(source, owner=connection)
        return await self._mirrors.expand(mirror, sha)

    async def check_out(
        self, connection: str, repository: str, path: Path, *, sha: str, ref: str | None, checkout: Checkout
    ) -> CheckedOut:
        """Put the commit's files at `path`, which does not exist yet."""
        mirror, source = await self._mirror(connection, repository, sha, ref)
        async with self._timed("checkout"):
            await make_workspace(
                self._mirrors,
                mirror,
                path,
                sha=sha,
                ref=ref,
                checkout=checkout,
                source=source,
                owner=connection,  # the mirror stays the same when its credential is rotated
            )
        return CheckedOut(url=source.url, commit=await history.commit(mirror, sha))

    async def _mirror(self, connection: str, repository: str, sha: str, ref: str | None) -> tuple[Mirror, CloneSource]:
        """Our mirror with `sha` in it; a ref that is no branch and no tag (a change request's) is asked for by name."""
        source = await self.clone_source(connection, repository)
        change_ref = ref if ref and not ref.startswith(("refs/heads/", "refs/tags/")) else None
        async with self._timed("fetch"):
            return await self._mirrors.fetch(source, sha=sha, change_ref=change_ref, owner=connection), source

    @asynccontextmanager
    async def _timed(self, operation: str) -> AsyncIterator[None]:
        started, succeeded = time.perf_counter(), False
        try:
            yield
            succeeded = True
        finally:
            self._metrics.observe_git(time.perf_counter() - started, operation=operation, succeeded=succeeded)
