"""What a connection asks of SNS by itself: certificates, and confirmations where the admin wants them; nothing else.

No address of a payload is asked: a certificate's is pinned before it gets here, a confirmation goes to the endpoint of
the configured topic's region.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

from headgate import api
from headgate.api.client import Authorization, BaseUrl, Bounds, Client, Dialect
from headgate_plugins.codecommit.sns import endpoint

MOST_WAITING = 64
"""Confirmations; the topic asks again when somebody wants it to."""

API_VERSION = "2010-03-31"
DIALECT = Dialect(name="Amazon SNS", headers={"Accept": "*/*"})
BOUNDS = Bounds(most_bytes=65_536, whole=10.0, connect=5.0)


class Sns(Protocol):
    """What is asked. Tests play it."""

    async def certificate(self, address: str) -> bytes:
        """The bytes at a pinned address. Raises `ProviderError`."""

    async def confirm(self, topic: str, token: str) -> None:
        """Accept a subscription to one of the configured topics. Raises `ProviderError`."""


class SnsItself:
    """Asks Amazon, through the shared client: TLS, public addresses only, no redirects, little of an answer."""

    def __init__(self, host: api.Host, *, base: Callable[[str], BaseUrl] | None = None) -> None:
        """`base`: where what is written as `https://sns.<region>.…` is, for tests."""
        self._host = host
        self._base = base or (lambda url: BaseUrl.read(url, configured=False))
        self._clients: dict[str, Client] = {}

    async def certificate(self, address: str) -> bytes:
        """https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html"""
        site, _, name = address.rpartition("/")
        return (await self._client(site).call("GET", f"/{name}")).body

    async def confirm(self, topic: str, token: str) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html"""
        asked = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token, "Version": API_VERSION}
        await self._client(endpoint(topic)).call(
            "POST",
            "/",
            content=urlencode(asked).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            idempotent=True,
        )

    def _client(self, url: str) -> Client:
        if url not in self._clients:
            self._clients[url] = Client(self._host, self._base(url), dialect=DIALECT, authorize=_nobody, bounds=BOUNDS)
        return self._clients[url]


class Confirmations:
    """The subscriptions of one connection that wait to be confirmed."""

    def __init__(self, sns: Sns, *, wanted: bool, log: api.Logger) -> None:
        """`wanted`: the admin wrote `confirm_subscriptions: true`."""
        self._sns = sns
        self._wanted = wanted
        self._log = log
        self._waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MOST_WAITING)

    def note(self, topic: str, token: str) -> None:
        """Of a message whose signature was checked; pure but for the note."""
        if not self._wanted:
            self._log.warning("a topic asks to be confirmed, and `confirm_subscriptions` is not set", topic=topic)
        elif not self._waiting.full():
            self._waiting.put_nowait((topic, token))

    async def run(self) -> None:
        """Confirm what is noted, until cancelled."""
        while True:
            topic, token = await self._waiting.get()
            try:
                await self._sns.confirm(topic, token)
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the next from being confirmed
                self._log.error("a subscription could not be confirmed", topic=topic, reason=str(error))
            else:
                self._log.info("a subscription is confirmed", topic=topic)


async def _nobody(*, renew: bool) -> Authorization:  # noqa: ARG001 - the signature of `Authorize`
    return Authorization()
