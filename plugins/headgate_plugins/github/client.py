"""Calls to GitHub's REST API: one request, one answer or one error that says who must act; not what to call.

Source: https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from headgate import api

MOST_BYTES = 4_194_304
"""How much of an answer is read; none we ask for comes near."""

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)

SECONDARY_PAUSE = timedelta(minutes=1)
"""https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit"""

LONGEST_PAUSE = timedelta(hours=2)
"""GitHub's windows are an hour; a header that says more is not believed."""

_MOVED = frozenset({301, 302, 307, 308})
_MEANINGS: Mapping[int, type[api.ProviderError]] = {
    404: api.NotFound,
    408: api.Unavailable,
    409: api.Conflict,
    410: api.NotFound,
    412: api.Conflict,
    422: api.Conflict,
    451: api.NotFound,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer; header names are in lower case, `body` is plain JSON or `None`."""

    headers: Mapping[str, str]
    body: Any


class Client:
    """Speaks for one connection. The token is fetched for each call and is in no message."""

    def __init__(self, host: api.Host, *, base_url: str, reference: str | None) -> None:
        """`base_url`: as people open it; `reference`: the credential's, `None` to call without."""
        self.base_url = base_url.rstrip("/")
        self.api_url = api_url(self.base_url)
        self._host = host
        self._reference = reference

    @property
    def has_credential(self) -> bool:
        """Whether calls are authenticated."""
        return self._reference is not None

    async def clone_credential(self) -> api.Credential | None:
        """What git sends to the base URL's host. Raises `CredentialError`, also for a type that does not fit."""
        return await self._credential(self.base_url)

    async def get(self, path: str) -> Answer:
        """One GET. Raises `ProviderError` or `CredentialError`."""
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """One POST, never repeated here. Raises `ProviderError` or `CredentialError`."""
        return await self._call("POST", path, body)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "headgate",
            **_authorization(await self._credential(self.api_url)),
        }
        try:
            async with self._host.http.request(
                method, self.api_url + path, json=body, headers=headers, allow_redirects=False, timeout=TIMEOUT
            ) as response:
                content = await _read(response)
                status, answered = response.status, {name.lower(): value for name, value in response.headers.items()}
        except TimeoutError:
            raise api.Unavailable(f"GitHub did not answer {method} {path} in time") from None
        except aiohttp.ClientError as error:
            raise api.Unavailable(f"GitHub cannot be reached for {method} {path}: {type(error).__name__}") from None
        value = _json(content)
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own number for success
            return Answer(headers=answered, body=value)
        raise error_of(status, answered, value, what=f"{method} {path}", now=self._host.now())

    async def _credential(self, url: str) -> api.Credential | None:
        if self._reference is None:
            return None
        credential = await self._host.secret(self._reference, for_host=urlsplit(url).hostname)
        if credential.type not in {"token", "user_password"}:
            raise api.CredentialError(
                f"{self._reference} is of type {credential.type}; GitHub takes token or user_password"
            )
        return credential


def api_url(base_url: str) -> str:
    """Where the API of a base URL is.

    https://docs.github.com/en/enterprise-server/rest/enterprise-admin#endpoint-urls and, for data residency,
    https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"{parts.scheme}://api.{parts.netloc}"
    return f"{base_url.rstrip('/')}/api/v3"


def error_of(status: int, headers: Mapping[str, str], body: Any, *, what: str, now: datetime) -> api.ProviderError:
    """Whose fault a failed answer is, by status and headers; `now` is aware UTC."""
    said = body.get("message") if isinstance(body, dict) else None
    said = said[:200] if isinstance(said, str) else ""
    message = f"GitHub answered {status} to {what}" + (f": {said}" if said else "")
    if status in {403, 429} and (retry_at := _retry_at(status, headers, said, now)):
        return api.RateLimited(message, retry_at=retry_at)
    if status in {401, 403}:
        needed = headers.get("x-accepted-oauth-scopes") or headers.get("x-accepted-github-permissions")
        return api.Refused(message + (f" (needs {needed})" if needed else ""))
    if status in _MOVED:
        return api.NotFound(f"{message}: it moved; write its new name in the job")
    return _MEANINGS.get(status, api.Unavailable if status >= 500 else api.ProviderError)(message)  # noqa: PLR2004 - the class of server errors


def _retry_at(status: int, headers: Mapping[str, str], said: str, now: datetime) -> datetime | None:
    """When a limit ends; `None` when it is no limit.

    The order is GitHub's: Retry-After, then the reset of an exhausted budget, then a minute.
    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    if (seconds := _number(headers.get("retry-after"))) is not None:
        return now + min(timedelta(seconds=seconds), LONGEST_PAUSE)
    reset = _number(headers.get("x-ratelimit-reset"))
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return min(max(datetime.fromtimestamp(reset, UTC), now), now + LONGEST_PAUSE)
    if status == 429 or "rate limit" in said.lower():  # noqa: PLR2004 - Too Many Requests
        return now + SECONDARY_PAUSE
    return None


def _number(text: str | None) -> int | None:
    """At most ten digits: seconds, or an epoch that `datetime` can hold."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 10 else None  # noqa: PLR2004 - as said above


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MOST_BYTES:
            raise api.Unavailable(f"GitHub's answer is longer than {MOST_BYTES} bytes")
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None  # an error page of something in between; the status says enough


def _authorization(credential: api.Credential | None) -> dict[str, str]:
    if credential is None:
        return {}
    secret = credential.text().reveal()
    if not secret.isprintable():
        raise api.CredentialError("the credential holds a line break or another character no header can carry")
    if credential.type == "user_password":
        login = f"{credential.fields['username'].reveal()}:{secret}"
        return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    return {"Authorization": f"Bearer {secret}"}
