"""The one place a connection speaks to, and URLs below it; nothing a payload or an answer says leads elsewhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec
from yarl import URL

from headgate.api.client.guard import address_refusal
from headgate.api.errors import ConfigError, NotFound, Problem, ProviderError

Params: TypeAlias = Mapping[str, str | int | bool | Sequence[str]]
"""A query. A sequence repeats its key; a bool is `true` or `false`."""

_SAFE = "/%:@!$&'()*+,;=-._~"
"""What RFC 3986 lets stand in a path, and `%`, because segments may come quoted."""

_PLAIN_URL = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without blanks and backslashes, which browsers and parsers read differently."""


class BaseUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection's API is. Make one with `BaseUrl.read`.

    `configured`: an admin wrote it, so it may be private (self-hosted is normal) and may be `http://`. One that a
    provider brings along (`https://api.github.com`) is public, and an answer of DNS that says otherwise is refused.
    """

    url: str
    configured: bool

    @classmethod
    def read(cls, text: str, *, configured: bool) -> BaseUrl:
        """`text` without user, query and fragment. Raises `ConfigError`, also for an address never connected to."""
        try:
            url = URL(text)
            if url.scheme not in {"http", "https"} or not url.host or not _PLAIN_URL.fullmatch(text):
                raise _wrong("write https://host or https://host/path")
        except (ValueError, IndexError):  # the latter is yarl's, for brackets before an empty host
            raise _wrong("it cannot be read as a URL") from None
        if url.user is not None or url.password is not None or url.query_string or url.fragment:
            raise _wrong("a user, query or fragment has no place in it; secrets belong into a credential")
        if url.scheme == "http" and not configured:
            raise _wrong("plain http is spoken only where an admin wrote it")
        if (reason := _literal_refusal(url.host, allow_private=configured)) is not None:
            raise _wrong(f"{url.host} may not be connected to: {reason}")
        return cls(url=str(url).rstrip("/"), configured=configured)

    @property
    def host(self) -> str:
        """The host a credential must be bound to, without port."""
        return URL(self.url).host or ""

    @property
    def origin(self) -> URL:
        """Scheme, host and port."""
        return URL(self.url).origin()

    def at(self, path: str, params: Params | None = None) -> URL:
        """The URL of `path` below the base. `path` starts with `/`; what is no part of it is quoted, `?` and `#` too.

        Raises `NotFound` for a path that would climb out of the base: it may be made of a stranger's words.
        """
        plain = unquote(path)
        if not path.startswith("/") or "//" in path or {".", ".."} & set(re.split(r"[/\\]", plain)):
            raise NotFound(f"{_shortened(path)} is no path below {self.url}")
        try:
            url = URL(self.url + quote(path, safe=_SAFE), encoded=True)
        except UnicodeEncodeError:
            raise NotFound(f"{_shortened(path)} is no path below {self.url}") from None
        return url.with_query(query) if (query := _query(params)) else url

    def own(self, link: str) -> URL:
        """A link that an answer gave, absolute or relative; `ProviderError` unless it stays on the base's origin.

        The URL is put together from our origin and the link's path and query, so that no reading of the link can
        lead anywhere else.
        """
        refused = ProviderError(f"a link of the answer leads away from {self.origin} and is not followed")
        if not _PLAIN_URL.fullmatch(link):
            raise refused
        try:
            there = URL(self.url + "/").join(URL(link))
            parts = urlsplit(urljoin(self.url + "/", link))  # as it is written: `%2F` stays `%2F`
        except (ValueError, IndexError):  # the latter is yarl's, for brackets before an empty host
            raise refused from None
        ours = self.origin
        if (there.scheme, there.host, there.port) != (ours.scheme, ours.host, ours.port):
            raise refused
        if there.user is not None or there.password is not None or not parts.path.startswith("/"):
            raise refused
        query = f"?{parts.query}" if parts.query else ""
        return URL(f"{ours}{parts.path}{query}", encoded=True)


def segment(text: str) -> str:
    """`text` as one segment of a path: `acme/web` becomes `acme%2Fweb`."""
    return quote(text, safe="")


def _literal_refusal(host: str, *, allow_private: bool) -> str | None:
    """The guard at the socket judges names; an address is judged here too, before anything is opened."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address_refusal(host, allow_private=allow_private)


def _query(params: Params | None) -> dict[str, str | list[str]]:
    query: dict[str, str | list[str]] = {}
    for name, value in (params or {}).items():
        if isinstance(value, bool):
            query[name] = "true" if value else "false"
        else:
            query[name] = str(value) if isinstance(value, str | int) else list(value)
    return query


def _wrong(message: str) -> ConfigError:
    return ConfigError(Problem(file="connection", path="base_url", message=message))


def _shortened(text: str) -> str:
    return repr(text[:100])
