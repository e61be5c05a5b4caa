"""Which addresses an outgoing request may connect to; not which URLs may be written.

Our server stands where others do not: beside databases, metadata services and routers. So an address is checked
at the one place nothing comes after, where the socket for it is made: what a name resolves to there is what is
connected to, and a second DNS answer changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")
"""Deprecated and still routed inside some networks; the standard library takes it for public."""

_SERVICES = frozenset(
    map(
        ipaddress.ip_address,
        (
            "168.63.129.16",  # Azure's platform service: a public address that every machine there can reach
            "100.100.100.200",  # Alibaba Cloud's metadata
            "192.0.0.192",  # Oracle Cloud's metadata
            "fd00:ec2::254",  # AWS's metadata over IPv6; over IPv4 it is link-local, as everywhere
        ),
    )
)

_PUBLIC_ONLY: ContextVar[bool] = ContextVar("headgate_public_only", default=False)
"""Whether the request being made in this task may connect to public addresses only."""


class AddressRefused(OSError):
    """An address that may not be connected to. One text for all, so that several refusals read as one."""


def address_refusal(text: str, *, allow_private: bool, opened_by: str = "") -> str | None:
    """Why `text` (an IP address) may not be connected to; `None`: it may.

    Metadata services, link-local, multicast and unspecified addresses are refused also with `allow_private`.
    `opened_by`: the setting that would let a private one pass, for the message.
    """
    for address in _meanings(ipaddress.ip_address(text.partition("%")[0])):
        if address in _SERVICES or address.is_link_local:
            return "it is a link-local address or a cloud's metadata service"
        if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_private):
            return "it is no address of a single machine"
        if not allow_private and (not address.is_global or address in _SITE_LOCAL):
            return "it is a private address" + (f" ({opened_by} would let it pass)" if opened_by else "")
    return None


def guarded_socket(*, allow_private: bool, opened_by: str = "") -> Callable[[tuple[Any, ...]], socket.socket]:
    """A socket factory for a connector: raises `AddressRefused` instead of making a socket for a refused address."""

    def make(address_info: tuple[Any, ...]) -> socket.socket:
        return _socket(address_info, allow_private=allow_private, opened_by=opened_by)

    return make


def shared_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """The socket factory of the shared client: guarded always, and within `public_only()` strictly."""
    return _socket(address_info, allow_private=not _PUBLIC_ONLY.get(), opened_by="writing base_url")


@contextmanager
def public_only(*, on: bool = True) -> Iterator[None]:
    """Requests made on the shared client inside connect to public addresses only, if `on`.

    A connection that the pool already has to the same host and port is used as it is: it was allowed to be made.
    """
    token = _PUBLIC_ONLY.set(on)
    try:
        yield
    finally:
        _PUBLIC_ONLY.reset(token)


def _socket(address_info: tuple[Any, ...], *, allow_private: bool, opened_by: str) -> socket.socket:
    family, kind, protocol, _, address = address_info
    reason = address_refusal(address[0], allow_private=allow_private, opened_by=opened_by)
    if reason is not None:
        raise AddressRefused(f"the URL's host may not be connected to: {reason}")
    return socket.socket(family, kind, protocol)


def _meanings(address: _Address) -> tuple[_Address, ...]:
    """The address, and the IPv4 address that a translator or tunnel would make of it."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _SIX_TO_FOUR:
        return (address, ipaddress.IPv4Address((int(address) >> 80) & 0xFFFFFFFF))
    return (address,)
