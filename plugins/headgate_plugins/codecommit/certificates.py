"""The certificates SNS signs with: kept, fetched once by a task of the connection, judged; not asked for by a payload.

`find` is pure: what is not there yet is only noted, and the message told to come again. A stranger can make us note
addresses of SNS itself, for topics that he knows; so few are noted, one is fetched at a time, and refusals are kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeAlias

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from headgate import api

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""The bytes at a pinned address; raises `ProviderError`."""

MOST_KEPT = 16
MOST_WANTED = 4
MOST_REFUSED = 256
REFUSED_FOR = timedelta(minutes=10)
"""How long an address that led to no certificate is not asked again."""

SMALLEST_KEY = 2048
"""Bits of RSA."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A key, and from when until when it counts."""

    key: rsa.RSAPublicKey
    begins: datetime
    ends: datetime


class Certificates:
    """Those of one connection."""

    def __init__(self, fetch: Fetch, *, now: Callable[[], datetime], log: api.Logger) -> None:
        """`fetch`: called by `run` only."""
        self._fetch = fetch
        self._now = now
        self._log = log
        self._known: OrderedDict[str, Certificate] = OrderedDict()
        self._refused: OrderedDict[str, tuple[datetime, str]] = OrderedDict()
        self._wanted: dict[str, None] = {}
        self._noted = asyncio.Event()

    def find(self, address: str, *, at: datetime) -> rsa.RSAPublicKey:
        """The key at a pinned `address`, good `at` that time. Raises `Unauthenticated` or `CannotCheckYet`."""
        if (known := self._known.get(address)) is not None:
            if not known.begins <= at <= known.ends:
                raise api.Unauthenticated("the certificate it was signed with is not valid at this time")
            return known.key
        until, reason = self._refused.get(address, (at, ""))
        if at < until:
            raise api.Unauthenticated(reason)
        if len(self._wanted) < MOST_WANTED:
            self._wanted[address] = None
            self._noted.set()
        raise api.CannotCheckYet("the certificate it was signed with is being fetched")

    def keep(self, address: str, pem: bytes) -> None:
        """What was fetched. Raises `ValueError` saying why it is no certificate to trust."""
        self._known[address] = read_certificate(pem)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)

    async def run(self) -> None:
        """Fetch what is wanted, one after the other, until cancelled."""
        while True:
            await self._noted.wait()
            while self._wanted:
                address = next(iter(self._wanted))
                await self._get(address)
                del self._wanted[address]
            self._noted.clear()

    async def _get(self, address: str) -> None:
        try:
            self.keep(address, await self._fetch(address))
        except (api.Unavailable, api.RateLimited) as error:
            self._log.warning("a certificate of SNS could not be fetched", address=address, reason=str(error))
        except (api.ProviderError, ValueError) as error:
            self._log.warning("no certificate of SNS", address=address, reason=str(error))
            self._refused[address] = (self._now() + REFUSED_FOR, f"its certificate is refused: {error}")
            while len(self._refused) > MOST_REFUSED:
                self._refused.popitem(last=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next message must find this task alive
            self._log.error("fetching a certificate of SNS failed by our fault", address=address, error=repr(error))
        else:
            self._log.info("a certificate of SNS is known", address=address)


def read_certificate(pem: bytes) -> Certificate:
    """The first certificate of a PEM file, each signed by the next where there are more. Raises `ValueError`.

    SNS sends the leaf alone; that it is genuine says TLS, at the pinned host. What it says of itself must still fit.
    """
    chain = x509.load_pem_x509_certificates(pem)
    leaf, key = chain[0], chain[0].public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < SMALLEST_KEY:
        raise ValueError(f"its key is no RSA key of {SMALLEST_KEY} bits")
    if not any(_of_amazon(name) for name in _names(leaf)):
        raise ValueError("it is not made out to amazonaws.com")
    for one, issuer in pairwise(chain):
        try:
            one.verify_directly_issued_by(issuer)
        except Exception as error:
            raise ValueError("its chain does not hold together") from error
    return Certificate(key=key, begins=leaf.not_valid_before_utc, ends=leaf.not_valid_after_utc)


def _names(certificate: x509.Certificate) -> list[str]:
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        other = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return names
    return names + other.value.get_values_for_type(x509.DNSName)


def _of_amazon(name: str) -> bool:
    return name.lower().endswith((".amazonaws.com", ".amazonaws.com.cn"))
