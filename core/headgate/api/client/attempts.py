"""One call from its first request to an answer or a reason to stop; not what is called.

Around each request, from outside in: the authorisation, the answer kept from last time, the rate limit's turn, a slot,
the breaker, the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from headgate.api.client.addresses import BaseUrl
from headgate.api.client.answers import Answer
from headgate.api.client.authorization import Authorization, Authorize, ToSign
from headgate.api.client.bounds import Bounds
from headgate.api.client.breaker import Breaker, HostLeftAlone
from headgate.api.client.conditional import Kept, conditions
from headgate.api.client.dialects import Dialect
from headgate.api.client.failures import failure
from headgate.api.client.limits import retry_after
from headgate.api.client.throttle import Sleep, Spent, Throttle
from headgate.api.client.wire import Asked, NoAnswer, send
from headgate.api.deadlines import seconds_left
from headgate.api.errors import ProviderError, RateLimited, Refused, Unavailable
from headgate.api.host import Host

_REPEATED = frozenset({502, 503, 504})
_UNAUTHORIZED = 401

_TELLS = 1.0
"""Seconds before whoever waits gives a call up, so that it is told why: the host's silence is no fault of its provider."""

_ENDS = 2.0
"""Seconds before that, in which a request has to end: aiohttp rounds a time-out up, by up to one."""

_WORTH = 5.0
"""Seconds that must be left for another attempt, or to wait for a limit."""


class Attempts:
    """What one client keeps between requests: answers, budgets, slots and the host's health."""

    def __init__(
        self,
        host: Host,
        base: BaseUrl,
        *,
        dialect: Dialect,
        authorize: Authorize,
        bounds: Bounds,
        sleep: Sleep,
        monotonic: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        """As `Client` takes them."""
        self._host = host
        self._base = base
        self._dialect = dialect
        self._authorize = authorize
        self._bounds = bounds
        self._sleep = sleep
        self._monotonic = monotonic
        self._draw = draw
        self._slots = asyncio.Semaphore(bounds.concurrency)
        self._renewing = asyncio.Lock()
        self._kept = Kept(entries=bounds.kept, total=bounds.kept_bytes)
        self._breaker = Breaker(failures=bounds.failures, rest=bounds.rest, monotonic=monotonic)
        self._throttle = Throttle(
            near=bounds.concurrency, now=host.now, sleep=sleep, waited=host.metrics.rate_limit_waited
        )

    async def settle(self, asked: Asked) -> Answer:
        """Ask until there is success or a reason to stop. Raises `ProviderError` or `CredentialError`, masked."""
        authorization, renewed, attempt = await self._authorized(), False, 1
        while True:
            reply = await self._once(asked, authorization)
            error = self._error_of(reply)
            if error is None and isinstance(reply, Answer):
                return msgspec.structs.replace(reply, body=reply.body.removeprefix(self._dialect.prefix))
            if isinstance(reply, Answer) and reply.status == _UNAUTHORIZED and not renewed:
                fresh, renewed = await self._renewed(authorization), True
                if fresh != authorization:
                    authorization = fresh
                    continue
            wait, left = self._wait_before_next(reply, error, asked, attempt), _time_left()
            if wait is None or (left is not None and left - wait < _WORTH):
                raise error or ProviderError(f"{self._dialect.name} gave no answer to {asked.what}")
            attempt += 1
            self._host.metrics.call_retried()
            self._host.log.debug("asked again", what=asked.what, attempt=attempt, seconds=round(wait, 3))
            await self._sleep(wait)

    async def _once(self, asked: Asked, authorization: Authorization) -> Answer | NoAnswer:
        """One request within the budget, the slots and the breaker."""
        kept_at_all = asked.method == "GET" and authorization.sign is None
        key = self._kept.key(str(asked.url), asked.headers, authorization) if kept_at_all else None
        kept = self._kept.find(key) if key is not None else None
        headers = {**conditions(kept), **asked.headers}
        headers |= {name: secret.reveal() for name, secret in authorization.headers.items()}
        resource = self._dialect.limits.resource(asked.path)
        try:
            async with (
                asyncio.timeout(_time_left()),
                self._throttle.turn(resource, patience=_patience(asked)),
                self._slots,
            ):
                with self._breaker.request():
                    reply = await self._send(asked, _signed(asked, headers, authorization))
                    self._learn(reply, resource)
        except HostLeftAlone as alone:
            message = self._host.masked(f"{self._dialect.name} is {alone}")
            raise Unavailable(message, seconds=alone.seconds) from None
        except TimeoutError:
            return NoAnswer(reason=f"had no turn for {asked.what} in time", again=False)
        except Spent as spent:
            raise RateLimited(f"{self._dialect.name}'s rate limit is used up: {spent}", retry_at=spent.until) from None
        return self._kept.settle(key, reply, kept) if key is not None and isinstance(reply, Answer) else reply

    async def _send(self, asked: Asked, headers: Mapping[str, str]) -> Answer | NoAnswer:
        began = self._monotonic()
        bounds, left = self._bounds, _time_left()
        if left is not None:
            bounds = msgspec.structs.replace(bounds, whole=min(bounds.whole, max(left - _ENDS, left / 2)))
        reply = await send(self._host.http, asked, headers, bounds=bounds, only_public=not self._base.configured)
        if isinstance(reply, NoAnswer) and bounds.whole < bounds.connect:  # it was given too little time to judge it by
            reply = msgspec.structs.replace(reply, unwell=False)
        status = f"{reply.status // 100}xx" if isinstance(reply, Answer) else "none"
        self._host.metrics.observe_call(self._monotonic() - began, status=status)
        return reply

    def _learn(self, reply: Answer | NoAnswer, resource: str) -> None:
        """What the answer tells about the host's health and about limits."""
        if isinstance(reply, NoAnswer):
            if reply.unwell:
                self._breaker.failed(f"it {reply.reason}")
            return
        if reply.status in _REPEATED:
            self._breaker.failed(f"it answered {reply.status} to {reply.what}")
        else:
            self._breaker.answered()
        now, limits = self._host.now(), self._dialect.limits
        if (budget := limits.budget(reply.headers, now)) is not None:
            self._throttle.learn(resource, budget)
        error = failure(reply, self._dialect, now)
        if isinstance(error, RateLimited):
            # A spent budget is one resource's; any other limit is for all we ask (GitHub: "secondary").
            spent = budget is not None and budget.remaining == 0
            self._throttle.close(resource if spent else None, error.retry_at)
        elif error is None and (until := retry_after(reply.headers, now)) is not None:
            self._throttle.close(resource, min(until, now + limits.longest))  # Azure DevOps: a wish beside success

    def _error_of(self, reply: Answer | NoAnswer) -> ProviderError | None:
        """What the caller would be told, masked."""
        if isinstance(reply, NoAnswer):
            return reply.meaning(self._host.masked(f"{self._dialect.name} {reply.reason}"))
        error = failure(reply, self._dialect, self._host.now())
        return None if error is None else self.masked(error)

    def masked(self, error: ProviderError) -> ProviderError:
        """The same error without a secret in its words."""
        if isinstance(error, Refused):
            error.missing = tuple(map(self._host.masked, error.missing))
        error.args = (self._host.masked(str(error)), *error.args[1:])
        return error

    def _wait_before_next(
        self, reply: Answer | NoAnswer, error: ProviderError | None, asked: Asked, attempt: int
    ) -> float | None:
        """Seconds to wait before the next attempt; `None`: this was the last."""
        if attempt >= self._bounds.attempts:
            return None
        # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        backoff = self._draw() * min(self._bounds.backoff * 2 ** (attempt - 1), self._bounds.longest_backoff)
        now = self._host.now()
        if isinstance(error, RateLimited):  # refused before anything was done: safe for every method
            seconds = (error.retry_at - now).total_seconds()
            return backoff if 0 < _patience(asked) >= seconds else None  # the throttle waits the rest, for all callers
        if not asked.repeatable or not isinstance(error, Unavailable):
            return None
        if isinstance(reply, NoAnswer):
            return backoff if reply.again else None
        if reply.status not in _REPEATED:
            return None
        after = retry_after(reply.headers, now)
        wished = (after - now).total_seconds() if after is not None else 0.0
        return max(backoff, wished) if wished <= asked.patience else None

    async def _authorized(self, *, renew: bool = False) -> Authorization:
        authorization = await self._authorize(renew=renew)
        self._host.mask(*authorization.secrets())
        return authorization

    async def _renewed(self, refused: Authorization) -> Authorization:
        """One that was not refused yet, if there is: of many callers with 401 one renews, and the rest take that."""
        async with self._renewing:
            current = await self._authorized()
            return current if current != refused else await self._authorized(renew=True)


def _signed(asked: Asked, headers: dict[str, str], authorization: Authorization) -> dict[str, str]:
    if authorization.sign is None:
        return headers
    request = ToSign(method=asked.method, url=str(asked.url), headers=headers, body=asked.body or b"")
    return {**headers, **authorization.sign(request)}


def _time_left() -> float | None:
    """Seconds that a call still has; `None`: as many as the bounds allow."""
    left = seconds_left()
    return None if left is None else max(0.0, left - _TELLS)


def _patience(asked: Asked) -> float:
    """Seconds of a rate limit that may be waited for."""
    left = _time_left()
    return asked.patience if left is None else min(asked.patience, max(0.0, left - _WORTH))
