"""Posts a build's news to a URL, signed as Standard Webhooks say; not a way to call arbitrary services.

The secret only signs and never travels. A redirect is not followed, an answer is hardly read, and addresses
inside our own network are refused unless the admin opened them. https://www.standardwebhooks.com/
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from yarl import URL

from headgate import api
from headgate.api.client import AddressRefused, Names, guarded_socket, retry_after
from headgate_plugins.webhook_notifier.message import body_of

HEADGATE_API = 1

_OUTCOMES = [outcome.value for outcome in api.Outcome]
_LOOPBACK = r"http://(localhost|127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\])(:[0-9]+)?([/?].*)?$"

SCHEMA: api.Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url", "secret"],
    "properties": {
        "url": {
            "type": "string",
            "pattern": r"^https?://[^/?#@\s]+([/?][^#\s]*)?$",
            "x-headgate-expected": "a URL such as https://chat.example.com/hook, without user or fragment",
            "maxLength": 2000,
            "description": "Where to post: https without a user in it; http only to this machine or with `plain_http`.",
        },
        "secret": {
            **api.REFERENCE_SCHEMA,
            "description": "The signing secret (whsec_… or any text). It never travels.",
        },
        "on": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": ["queued", "running", "finished", *_OUTCOMES], "x-headgate-later": ["fixed"]},
            "default": ["finished"],
            "description": "Which news: a phase or the outcome of a finished build. `fixed` is not offered yet.",
        },
        "plain_http": {
            "type": "boolean",
            "default": False,
            "description": "Say true to post over http, where anybody on the way can read (not change) the news.",
        },
    },
    "if": {"not": {"properties": {"plain_http": {"const": True}}, "required": ["plain_http"]}},
    "then": {
        "properties": {
            "url": {
                "pattern": rf"^((?!http://)|{_LOOPBACK})",
                "x-headgate-expected": "https, or `plain_http: true` beside it, as anybody on the way can read the news",
            }
        }
    },
}

SETTINGS: api.Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "allow_private": {
            "type": "boolean",
            "default": False,
            "description": "Let jobs post to private and loopback addresses. Metadata services stay closed.",
        },
        "timeout": {
            "type": "string",
            "format": "duration",
            "default": "10s",
            "description": "For one try, at most 25s.",
        },
    },
}

_DEFAULT_TIMEOUT = 10.0
_LONGEST_TIMEOUT = 25.0
_ANSWER = 300
"""Bytes of an answer that are read, for the message when it is an error."""

_AGAIN = frozenset({408, 425, 429})
_LONGEST_RETRY_AFTER = timedelta(days=1)


class WebhookNotifier:
    """Posts through a session of its own, whose sockets are guarded."""

    def __init__(self, session: aiohttp.ClientSession, host: api.Host) -> None:
        """`session`: made by `open_notifier`."""
        self._session = session
        self._host = host

    def wants(self, phase: api.Phase, build: api.Build, options: dict[str, Any]) -> bool:
        """Whether the block's `on` names the phase or the outcome."""
        on = options.get("on", ["finished"])
        return phase in on or (phase == "finished" and build.outcome is not None and build.outcome.value in on)

    def order_key(self, build: api.Build, options: dict[str, Any]) -> str:
        """Of its own for all news: a receiver wants each, and none overwrites another."""
        return json.dumps(["webhook", build.id, build.attempt, build.state, options], sort_keys=True)

    async def tell(self, notification: api.Notification, provider: api.Provider | None) -> None:  # noqa: ARG002 - the protocol's signature
        """Post it. 408, 425, 429, 5xx and no answer are tried again; a redirect and any other 4xx are final."""
        url = _checked(notification.options)
        secret = (await self._host.secret(notification.options["secret"])).text()
        body = body_of(notification)
        timestamp = int(self._host.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Headgate",
            "webhook-id": notification.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": api.standard_webhooks_signature(notification.id, timestamp, body, secret),
        }
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                text = await response.content.read(_ANSWER)
                response.close()  # the rest is not ours to read
                self._judge(url, response, text)
        except aiohttp.InvalidURL:
            raise api.Refused(f"{_short(url)} has no host that can be looked up") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused):
                raise api.Refused(f"{_short(url)}: {error.os_error}") from None
            raise api.Unavailable(f"{_short(url)} cannot be reached: {error}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise api.Unavailable(f"{_short(url)} did not answer: {str(error) or type(error).__name__}") from None

    def _judge(self, url: URL, response: aiohttp.ClientResponse, text: bytes) -> None:
        status = response.status
        if 200 <= status < 300:  # noqa: PLR2004 - the class of success
            return
        said = " ".join(text.decode(errors="replace").split())
        message = f"{_short(url)} answered {status}{f': {said}' if said else ''}"
        if status in _AGAIN or status >= 500:  # noqa: PLR2004 - the class of server errors
            retry_at = _retry_at(response.headers, self._host.now())
            raise api.RateLimited(message, retry_at=retry_at) if retry_at else api.Unavailable(message)
        if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
            message = f"{_short(url)} answered {status}: redirects are not followed, write the final URL"
        raise api.Refused(message)


def _checked(options: Mapping[str, Any]) -> URL:
    """The block's URL; the schema says the same, yet the block may be older than the schema."""
    try:
        url = URL(options["url"])
    except ValueError:
        raise api.Refused("the URL cannot be read as one") from None
    if url.scheme not in {"http", "https"} or not url.host or url.user is not None or url.password is not None:
        raise api.Refused("the URL must be https://host/… without a user")
    if url.scheme == "http" and not options.get("plain_http") and not _is_loopback(url.host):
        raise api.Refused(f"{_short(url)} is plain http: write https, or `plain_http: true`")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _short(url: URL) -> str:
    """For messages: without the path and query, in which some services keep a secret."""
    return str(url.origin())


def _retry_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Retry-After as a moment; `None` when absent, odd, over already or over a day away."""
    moment = retry_after(headers, now)
    return moment if moment is not None and moment - now <= _LONGEST_RETRY_AFTER else None


@asynccontextmanager
async def open_notifier(config: Mapping[str, Any], host: api.Host) -> AsyncIterator[WebhookNotifier]:
    """A session whose sockets pass the guard; the shared client has none."""
    total = min(float(config.get("timeout", _DEFAULT_TIMEOUT)), _LONGEST_TIMEOUT)
    guard = guarded_socket(
        allow_private=bool(config.get("allow_private", False)), opened_by="notifiers.webhook.allow_private"
    )
    async with (
        Names() as names,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit_per_host=4, socket_factory=guard, resolver=names),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=total),
            auto_decompress=False,
            trust_env=False,
        ) as session,
    ):
        yield WebhookNotifier(session, host)


@api.hookimpl
def headgate_notifiers() -> Iterable[api.NotifierKind]:
    """One kind: `webhook`."""
    yield api.NotifierKind(
        name="webhook",
        summary="Posts signed news to a URL (Standard Webhooks)",
        schema=SCHEMA,
        settings=SETTINGS,
        open=open_notifier,
    )
