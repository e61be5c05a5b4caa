"""From which addresses a connection takes deliveries, and how many; not whether they are genuine, which a seal says."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from aiohttp import web

from headgate.web.problems import Refusal

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

PUBLISHED: Final = "provider"
"""In an allow-list: the networks that the host itself says its webhooks come from."""

_MINUTE: Final = 60.0


class Senders:
    """Rules of one connection. Made anew when the configuration is read again, with all of the rate unspent."""

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        published: Callable[[], Sequence[str] | None] = lambda: None,
        per_minute: int | None = None,
        replay_window: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`allow`: networks, and `provider` for those that `published` gives (`None`: not known yet); empty: all.

        `replay_window`: seconds for which the same body is the same delivery, whatever id it brings.
        """
        self.replay_window = replay_window
        self._own = networks([one for one in allow if one != PUBLISHED])
        self.wants_published = PUBLISHED in allow
        self._published = published
        self._read: tuple[Sequence[str] | None, tuple[Network, ...]] = (None, ())
        self._per_minute = per_minute
        self._left = float(per_minute or 0)
        self._monotonic = monotonic
        self._filled = monotonic()

    def check_address(self, address: str) -> None:
        """Raises a 403 `Refusal` for an address that is not allowed, a 503 while nobody knows which are."""
        if not self._own and not self.wants_published:
            return
        given = address_of(address)
        if given is not None and any(given in network for network in self._own):
            return
        if self.wants_published:
            said = self._published()
            if said is None:
                raise Refusal(503, "The addresses to take this from are not known yet.", headers={"Retry-After": "60"})
            if said is not self._read[0]:
                self._read = said, networks(said)
            if given is not None and any(given in network for network in self._read[1]):
                return
        raise Refusal(403, "Deliveries are not taken from this address.")

    def count(self) -> None:
        """One genuine delivery. Raises a 429 `Refusal` when there were more than `per_minute`.

        A bucket of one minute's worth, so that a burst of pushes is no offence.
        """
        if self._per_minute is None:
            return
        now = self._monotonic()
        self._left = min(self._per_minute, self._left + (now - self._filled) * self._per_minute / _MINUTE)
        self._filled = now
        if self._left < 1:
            wait = math.ceil((1 - self._left) * _MINUTE / self._per_minute)
            raise Refusal(
                429, "The connection takes no more deliveries this minute.", headers={"Retry-After": str(wait)}
            )
        self._left -= 1


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation; an address alone is one of its own. Raises `ValueError`."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def address_of(text: str) -> Address | None:
    """An address, one of IPv4 within IPv6 as what it is; `None` for what is none."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def client_address(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """Who asks: the peer; behind proxies that are `trusted`, the last address of `X-Forwarded-For` that is no proxy.

    What stands before that was written by the client itself, and proves nothing.
    """
    peer = request.remote or ""
    if not trusted or not _is_one_of(peer, trusted):
        return peer
    chain = [one.strip() for value in request.headers.getall("X-Forwarded-For", ()) for one in value.split(",")]
    for one in reversed(chain):
        if not _is_one_of(one, trusted):
            return one
    return chain[0] if chain else peer


def _is_one_of(text: str, those: Sequence[Network]) -> bool:
    address = address_of(text)
    return address is not None and any(address in network for network in those)
