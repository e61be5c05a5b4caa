"""Tokens that end: got for a credential, kept, and got anew before they end; not how any provider gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from headgate.api.credentials import Credential, Secret
from headgate.api.errors import CredentialError, NotFound, Refused
from headgate.api.host import Host

_EARLY = timedelta(minutes=2)
_REST = timedelta(seconds=10)


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it was given. `expires_at` is aware UTC, `None`: nobody said when.

    `credential`: what the credential is now, where the token came with a new one (OAuth's rotating refresh tokens).
    """

    token: Secret
    expires_at: datetime | None = None
    credential: Credential | None = None


Issue: TypeAlias = Callable[[Credential], Awaitable[Issued]]
"""Gets a token for a credential. Raises `CredentialError` or `ProviderError`. Never called twice at once."""


class RenewedToken:
    """Keeps the token of one credential, masked, and gets another when it ends, was refused, or the credential changed.

    Of many callers one asks and the rest share what comes. Asking goes on when the caller is cancelled, because a
    refresh token may be used up by it: whoever closes what holds this awaits `settled` first.
    """

    def __init__(self, host: Host, issue: Issue, *, early: timedelta = _EARLY, rest: timedelta = _REST) -> None:
        """`early`: so long before its end a token is not used any more, yet at most for a quarter of its life.

        `rest`: a token that young is not replaced when it is refused, and a refusal to give one holds so long.
        """
        self._host = host
        self._issue = issue
        self._early = early
        self._rest = rest
        self._issued: Issued | None = None
        self._made_of: tuple[Credential, ...] = ()
        self._young_until: datetime | None = None
        self._good_until: datetime | None = None
        self._refusal: tuple[Credential, Exception, datetime] | None = None
        self._asking: tuple[Credential, asyncio.Task[Issued]] | None = None

    async def token(self, credential: Credential, *, renew: bool = False) -> Secret:
        """A token for `credential`. `renew`: the last one was refused; another, unless that one is young.

        Raises what the issue raises.
        """
        if (kept := self._kept(credential, renew=renew)) is not None:
            return kept
        while self._asking is not None:
            asked_for, task = self._asking
            if _same(asked_for, credential):
                return (await asyncio.shield(task)).token
            await asyncio.wait({task})
            if (kept := self._kept(credential, renew=renew)) is not None:
                return kept
        task = asyncio.create_task(self._ask(credential))
        self._asking = credential, task
        task.add_done_callback(self._asked)
        return (await asyncio.shield(task)).token

    async def settled(self) -> None:
        """Wait for what is being asked right now, whatever comes of it."""
        if self._asking is not None:
            await asyncio.wait({self._asking[1]})

    def _kept(self, credential: Credential, *, renew: bool) -> Secret | None:
        if self._issued is None or not any(_same(one, credential) for one in self._made_of):
            return None
        until, now = (self._young_until if renew else self._good_until), self._host.now()
        return self._issued.token if until is None or now < until else None

    async def _ask(self, credential: Credential) -> Issued:
        if self._refusal is not None:
            refused, error, until = self._refusal
            if _same(refused, credential) and self._host.now() < until:
                raise error.with_traceback(None)
        try:
            issued = await self._issue(credential)
        except (CredentialError, NotFound, Refused) as error:
            self._refusal = credential, error, self._host.now() + self._rest
            raise
        self._host.mask(issued.token)
        now = self._host.now()
        life = None if issued.expires_at is None else issued.expires_at - now
        self._good_until = None if life is None else now + life - min(self._early, life / 4)
        self._young_until = now + (self._rest if life is None else min(self._rest, life))
        # The one before stays good for it, too: somebody may have read that before it was replaced.
        self._made_of = (credential,) if issued.credential is None else (credential, issued.credential)
        self._issued, self._refusal = issued, None
        return issued

    def _asked(self, task: asyncio.Task[Issued]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # whoever still waits is told; if nobody does, it is no loose end


def _same(one: Credential, other: Credential) -> bool:
    """Whether a token of the one is a token of the other: where it may travel is checked elsewhere, for each use."""
    return one.type == other.type and one.fields == other.fields
