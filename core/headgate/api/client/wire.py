"""One request on the shared session and all of its answer, or the reason there is none; it never tries twice."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
import msgspec
from yarl import URL

from headgate.api.client.answers import Answer
from headgate.api.client.bounds import Bounds
from headgate.api.client.guard import AddressRefused, public_only
from headgate.api.errors import ProviderError, Refused, Unavailable


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing usable came back. `again`: the same request may fare better; `unwell`: it is the host's fault."""

    reason: str
    meaning: type[ProviderError] = Unavailable
    again: bool = True
    unwell: bool = True


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it will be made. `what` names it in messages, without its query."""

    what: str
    method: str
    url: URL
    path: str
    headers: dict[str, str]
    body: bytes | None = None
    repeatable: bool = False
    patience: float = 0.0


async def send(
    session: aiohttp.ClientSession, asked: Asked, headers: Mapping[str, str], *, bounds: Bounds, only_public: bool
) -> Answer | NoAnswer:
    """Ask, with `headers` instead of those of `asked`. Redirects are answers, never followed."""
    timeout = aiohttp.ClientTimeout(total=bounds.whole, sock_connect=bounds.connect)
    try:
        with public_only(on=only_public):
            async with session.request(
                asked.method,
                asked.url,
                data=asked.body,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                body = await _read(response, bounds.most_bytes)
                if body is None:
                    return NoAnswer(
                        reason=f"answered {asked.what} with something longer than {bounds.most_bytes} bytes",
                        again=False,
                        unwell=False,
                    )
                joined = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                return Answer(what=asked.what, status=response.status, headers=joined, body=body)
    except (TimeoutError, aiohttp.ClientError) as error:
        return _no_answer(error, asked.what)


def _no_answer(error: TimeoutError | aiohttp.ClientError, what: str) -> NoAnswer:
    if isinstance(error, TimeoutError):
        return NoAnswer(reason=f"did not answer {what} in time")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = f"has a TLS certificate that is not accepted: {error.certificate_error}"
        return NoAnswer(reason=reason, again=False, unwell=False)
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, AddressRefused):
            return NoAnswer(reason=f"is not asked: {error.os_error}", meaning=Refused, again=False, unwell=False)
        return NoAnswer(reason=f"cannot be reached for {what}: {error.os_error}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return NoAnswer(reason=f"broke off its answer to {what}")
    return NoAnswer(reason=f"cannot be reached for {what}: {type(error).__name__}")


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The body, unpacked; `None` when it is longer than `most`, of which no more is read than that."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            return None
    return bytes(body)
