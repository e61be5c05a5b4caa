"""Which addresses an outgoing webhook may connect to; not which URLs may be written.

A job's author chooses the URL, and our server stands where that author does not: beside databases, metadata
services and routers. So the address is checked at the one place nothing comes after, where the socket for it is
made: what a name resolves to there is what is connected to, and a second DNS answer changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

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


class AddressRefused(OSError):
    """An address that may not be connected to. One text for all, so that several refusals read as one."""


def refusal(text: str, *, allow_private: bool) -> str | None:
    """Why `text` (an IP address) may not be connected to; `None`: it may.

    Metadata services, link-local, multicast and unspecified addresses are refused also with `allow_private`.
    """
    for address in _meanings(ipaddress.ip_address(text.partition("%")[0])):
        if address in _SERVICES or address.is_link_local:
            return "it is a link-local address or a cloud's metadata service"
        if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_private):
            return "it is no address of a single machine"
        if not allow_private and (not address.is_global or address in _SITE_LOCAL):
            return "it is a private address (notifiers.webhook.allow_private would let it pass)"
    return None


def guarded_socket(*, allow_private: bool) -> Callable[[tuple[Any, ...]], socket.socket]:
    """A socket factory for a connector: raises `AddressRefused` instead of making a socket for a refused address."""

    def make(address_info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = address_info
        reason = refusal(address[0], allow_private=allow_private)
        if reason is not None:
            raise AddressRefused(f"the URL's host may not be connected to: {reason}")
        return socket.socket(family, kind, protocol)

    return make


def _meanings(address: Address) -> tuple[Address, ...]:
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
