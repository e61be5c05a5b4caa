"""An open CodeCommit connection: what it checks, and what it can do; not what payloads mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from headgate import api
from headgate_plugins.codecommit import answers
from headgate_plugins.codecommit.certificates import Certificates
from headgate_plugins.codecommit.client import Calls, open_calls
from headgate_plugins.codecommit.names import domain, git_host
from headgate_plugins.codecommit.reading import name_of
from headgate_plugins.codecommit.sns import (
    certificate_address,
    check_signature,
    check_topic,
    read_signed,
)
from headgate_plugins.codecommit.subscriptions import Confirmations, Sns, SnsItself
from headgate_plugins.codecommit.webhooks import read
from headgate_plugins.codecommit.writing import Writing

TYPE_HEADER = "x-amz-sns-message-type"


@asynccontextmanager
async def open_connection(
    options: Mapping[str, Any], host: api.Host, *, sns: Sns | None = None
) -> AsyncIterator[CodeCommit]:
    """A connection whose `options` fit the schema. `sns`: who is asked for certificates, instead of Amazon."""
    region: str = options["region"]
    asked = sns or SnsItself(host)
    provider = CodeCommit(
        host=host,
        region=region,
        calls=open_calls(
            host,
            base_url=options.get("base_url", f"https://codecommit.{region}.{domain(region)}"),
            configured="base_url" in options,
            reference=options.get("credential"),
            region=region,
        ),
        git_url=options.get("git_url", f"https://{git_host(region)}"),
        git_reference=options.get("git_credential"),
        topics=tuple(options.get("topic_arns", ())),
        certificates=Certificates(asked.certificate, now=host.now, log=host.log),
        confirmations=Confirmations(asked, wanted=options.get("confirm_subscriptions", False), log=host.log),
        accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
    )
    tasks = [asyncio.create_task(one) for one in (provider.certificates.run(), provider.confirmations.run())]
    try:
        yield provider
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class CodeCommit(Writing):
    """One connection, to one region. Its methods are the capabilities of `headgate.api.providers`."""

    def __init__(
        self,
        *,
        host: api.Host,
        region: str,
        calls: Calls,
        git_url: str,
        git_reference: str | None,
        topics: tuple[str, ...],
        certificates: Certificates,
        confirmations: Confirmations,
        accept_unsigned: bool = False,
    ) -> None:
        """Without `topics` nothing is accepted, unless `accept_unsigned` says so."""
        super().__init__(calls=calls, region=region)
        self.certificates = certificates
        self.confirmations = confirmations
        self._host = host
        self._git_url = git_url.rstrip("/")
        self._git_reference = git_reference
        self._topics = topics
        self._accept_unsigned = accept_unsigned and not topics

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The signature of the SNS message, by a certificate of SNS in the topic's region, on a configured topic.

        `CannotCheckYet` while that certificate is being fetched. The seal's `secret` counts the topics.
        https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
        """
        if self._accept_unsigned:
            return api.Seal(key=api.delivery_key(delivery, "x-amz-sns-message-id"))
        kind = delivery.header(TYPE_HEADER)
        if not kind:
            raise api.Unauthenticated(f"the header {TYPE_HEADER} is missing, empty or doubled")
        if delivery.header("x-amz-sns-rawdelivery") is not None:
            raise api.Unauthenticated("raw message delivery is not signed: switch it off in the subscription")
        message = read_signed(delivery.body)
        if message.type != kind:
            raise api.Unauthenticated(f"the header {TYPE_HEADER} says something else than the message")
        topic = check_topic(message, self._topics, now=delivery.received_at)
        address = certificate_address(message)
        check_signature(message, self.certificates.find(address, at=delivery.received_at))
        if message.type == "SubscriptionConfirmation" and message.token:
            self.confirmations.note(message.topic_arn, message.token)
        return api.Seal(key=message.message_id, secret=topic)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says of this connection's region."""
        reading = read(delivery)
        if isinstance(reading, api.Ignored):
            return reading
        here = tuple(event for event in reading.events if _host_of(event) == self._host_name)
        if not here:
            return api.Ignored(reason=f"it is of another region than {self._region}")
        return api.Parsed(events=here)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """Over https with Git credentials of an IAM user.

        https://docs.aws.amazon.com/codecommit/latest/userguide/setting-up-gc.html
        """
        url = f"{self._git_url}/v1/repos/{name_of(repository)}"
        if self._git_reference is None:
            raise api.CredentialError(
                "the connection has no `git_credential`, and CodeCommit lets nobody clone without"
            )
        credential = await self._host.secret(self._git_reference, for_host=urlsplit(url).hostname)
        if credential.type != "user_password":
            raise api.CredentialError(f"{self._git_reference} is of type {credential.type}; this takes user_password")
        return api.CloneSource(url=url, credential=credential)

    async def test_connection(self) -> api.ConnectionReport:
        """ListRepositories. Who the key belongs to says another service, which is not asked."""
        try:
            found = await self._calls.read("ListRepositories", {}, shape=answers.RepositoryList)
        except api.Refused as error:
            if not error.missing:
                raise
            return api.ConnectionReport(missing=error.missing, message=str(error))
        missing = () if self._git_reference else ("git_credential",)
        message = f"{len(found.repositories)} repositories on the first page"
        return api.ConnectionReport(missing=missing, message=message)


def _host_of(event: api.Event) -> str | None:
    repository = getattr(event, "repository", None)
    return repository.host if isinstance(repository, api.Repository) else None
