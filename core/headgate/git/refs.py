"""One narrow question to a remote: which refs with these prefixes are where; not what to do when one moved."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
from yarl import URL

from headgate import api
from headgate.git.access import sign_in
from headgate.git.advertisements import Advertisements
from headgate.git.command import Git
from headgate.git.failures import mask
from headgate.git.names import Location, check_prefix, check_ref, shown
from headgate.git.packets import PEELED, Advertisement, Listed, ls_refs, read_advertisement, read_ls_refs

_TIME_LIMIT = 60.0
_MAX_BYTES = 64 * 1024 * 1024
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
_REQUEST = "application/x-git-upload-pack-request"
_RESULT = "application/x-git-upload-pack-result"
_VERSION_2 = 2


class Refs(msgspec.Struct, frozen=True, kw_only=True):
    """What a remote said. `heads`: full ref → object id (of the tag object, for annotated tags).

    `peeled`: full ref of an annotated tag → the commit it leads to.
    `default_branch` is the short name `HEAD` points to, `None` for an empty or detached remote. `bytes` counts
    the answer. `unusable`: refs left out because their name is no UTF-8 or one we refuse everywhere.
    """

    heads: dict[str, str]
    default_branch: str | None
    bytes: int
    peeled: dict[str, str] = {}
    unusable: int = 0


async def list_refs(
    git: Git,
    source: api.CloneSource,
    prefixes: Sequence[str],
    *,
    http: aiohttp.ClientSession | None = None,
    advertisements: Advertisements | None = None,
) -> Refs:
    """The refs of `source` whose full name starts with one of `prefixes`.

    Over http(s) this is protocol v2's `ls-refs` with `ref-prefix`; older servers, ssh and local folders are
    asked with more words. `http` may be a shared session; with `advertisements` a host that is known is asked in
    one request. Raises as `Git.run` does, before any traffic when
    the URL, a prefix or the credential is refused.
    """
    location = git.locate(source)
    wanted = [check_prefix(prefix) for prefix in prefixes]
    if not wanted:
        raise ValueError("at least one prefix is needed; `refs/` asks for everything")
    if location.scheme in {"http", "https"}:
        async with _session(http) as session:
            return await _ask(session, location, source, wanted, advertisements or Advertisements())
    return await _ls_remote(git, location, source, wanted)


@contextlib.asynccontextmanager
async def _session(http: aiohttp.ClientSession | None) -> AsyncIterator[aiohttp.ClientSession]:
    if http is not None:
        yield http
        return
    async with aiohttp.ClientSession() as session:
        yield session


async def _ask(
    session: aiohttp.ClientSession,
    location: Location,
    source: api.CloneSource,
    prefixes: Sequence[str],
    advertisements: Advertisements,
) -> Refs:
    """Over HTTP. A page of another type is an error: taken for a list, it would look like deleted branches."""
    ask = _Question(session, location, source, prefixes)
    known = advertisements.of(location)
    try:
        async with _time_limit(location):
            if known is not None and known.version >= _VERSION_2:
                with contextlib.suppress(ValueError):  # no answer, perhaps for what we remember
                    refs = await ask.for_refs(known)
                    if refs.heads or refs.default_branch:
                        return refs
            advertisement, size = await ask.for_advertisement()
            advertisements.keep(location, advertisement)
            if advertisement.version < _VERSION_2:
                return _refs(advertisement.refs, prefixes, size)
            return await ask.for_refs(advertisement, size)
    except ValueError as error:
        raise api.Unavailable(mask(f"{shown(location.url)} gave no Git answer: {error}", source)) from None
    except aiohttp.ClientError as error:
        raise api.Unavailable(mask(f"{shown(location.url)} cannot be asked: {error}", source)) from None
    except api.RateLimited:
        raise
    except api.ProviderError:
        if known is not None:
            advertisements.doubt(location)
        raise


class _Question:
    """One question for refs: its two requests, of which the first is left out where its answer is known."""

    def __init__(
        self, session: aiohttp.ClientSession, location: Location, source: api.CloneSource, prefixes: Sequence[str]
    ) -> None:
        self._session, self._location, self._source, self._prefixes = session, location, source, prefixes
        self._base = location.url.rstrip("/")
        self._headers = {"Git-Protocol": "version=2", "User-Agent": "git/headgate"}
        if (pair := sign_in(source)) is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(":".join(pair).encode()).decode()

    async def for_advertisement(self) -> tuple[Advertisement, int]:
        """What it speaks, and before version 2 all its refs; with the answer's size in bytes."""
        answer = await self._body(f"{self._base}/info/refs?service=git-upload-pack", self._headers, None)
        return read_advertisement(answer), len(answer)

    async def for_refs(self, advertisement: Advertisement, size: int = 0) -> Refs:
        """The refs; `size`: bytes that were read for them before."""
        question = ls_refs(["HEAD", *self._prefixes], advertisement)
        headers = self._headers | {"Content-Type": _REQUEST, "Accept": _RESULT}
        answer = await self._body(f"{self._base}/git-upload-pack", headers, question)
        return _refs(read_ls_refs(answer), self._prefixes, size + len(answer))

    async def _body(self, url: str, headers: dict[str, str], question: bytes | None) -> bytes:
        """The body of one answer of status 200 and the right type; anything else is raised."""
        method = "POST" if question else "GET"
        async with self._session.request(
            method, URL(url, encoded=True), headers=headers, data=question, allow_redirects=False
        ) as response:
            _check_status(response, self._location, self._source)
            expected = _RESULT if question else _ADVERTISEMENT
            if response.content_type != expected:
                raise ValueError(f"its type is {response.content_type}")
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > _MAX_BYTES:
                    raise api.ProviderError(
                        f"{shown(self._location.url)}: the list of refs is larger than {_MAX_BYTES} bytes"
                    )
                chunks.append(chunk)
            return b"".join(chunks)


@contextlib.asynccontextmanager
async def _time_limit(location: Location) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_TIME_LIMIT):
            yield
    except TimeoutError:
        raise api.Unavailable(f"{shown(location.url)} did not answer within {_TIME_LIMIT:.0f} s") from None


def _check_status(response: aiohttp.ClientResponse, location: Location, source: api.CloneSource) -> None:
    status, who = response.status, shown(location.url)
    if status == 200:  # noqa: PLR2004 - HTTP's own numbers, here and below
        return
    if 300 <= status < 400:  # noqa: PLR2004
        target = mask(shown(response.headers.get("Location", "")), source)
        raise api.Refused(f"{who} redirects to {target}; configure the address it leads to")
    if status in {401, 403}:
        raise api.Refused(f"{who} answers {status}: check the credential and what it may read")
    if status in {404, 410}:
        raise api.NotFound(f"{who} answers {status}: no such repository, or the credential may not see it")
    if status == 429:  # noqa: PLR2004
        wait = response.headers.get("Retry-After", "")
        seconds = min(int(wait), 86_400) if wait.isascii() and wait.isdecimal() else 60
        raise api.RateLimited(
            f"{who} answers 429: too many requests", retry_at=datetime.now(UTC) + timedelta(seconds=seconds)
        )
    if status >= 500:  # noqa: PLR2004
        raise api.Unavailable(f"{who} answers {status}")
    raise api.ProviderError(f"{who} answers {status}")


async def _ls_remote(git: Git, location: Location, source: api.CloneSource, prefixes: Sequence[str]) -> Refs:
    """By the git command: it filters only after it was told everything."""
    patterns = [word for prefix in prefixes for word in ([prefix] if prefix == "HEAD" else [f"{prefix}*"])]
    done = await git.run(["ls-remote", "--symref", "--", location.url, "HEAD", *patterns], source=source)
    targets: dict[bytes, bytes] = {}
    values: dict[bytes, str] = {}
    for line in done.stdout.splitlines():
        value, _, name = line.partition(b"\t")
        if value.startswith(b"ref: "):
            targets[name] = value.removeprefix(b"ref: ")
        else:
            values[name] = value.decode()
    listed = [
        Listed(name=name, sha=value, target=targets.get(name), peeled=values.get(name + PEELED))
        for name, value in values.items()
        if not name.endswith(PEELED)
    ]
    try:
        return _refs(listed, prefixes, len(done.stdout))
    except ValueError as error:
        raise api.Unavailable(f"{shown(location.url)} gave no Git answer: {error}") from None


def _refs(listed: Iterable[Listed], prefixes: Sequence[str], size: int) -> Refs:
    """A prefix is only a hint to the server, so what it sent is filtered again, and every name checked."""
    heads: dict[str, str] = {}
    peeled: dict[str, str] = {}
    default_branch = None
    unusable = 0
    asked = tuple(prefixes)
    for ref in listed:
        if ref.name == b"HEAD" and ref.target is not None and ref.target.startswith(b"refs/heads/"):
            default_branch = ref.target.removeprefix(b"refs/heads/").decode(errors="replace")
        if ref.name == b"capabilities^{}":  # how version 0 says "empty"
            continue
        try:
            name = check_ref(ref.name.decode())
        except (UnicodeDecodeError, api.Refused):
            unusable += 1
            continue
        if name.startswith(asked):
            if not _OBJECT_ID.fullmatch(ref.sha):
                raise ValueError(f"{name} has no object id")
            heads[name] = ref.sha
            if ref.peeled is not None and _OBJECT_ID.fullmatch(ref.peeled):
                peeled[name] = ref.peeled
    return Refs(heads=heads, default_branch=default_branch, bytes=size, peeled=peeled, unusable=unusable)
