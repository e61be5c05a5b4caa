"""An open connection to Gerrit: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The credentials
are fetched for each use, so that new ones work at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential
from headgate_plugins.gerrit.answers import Account
from headgate_plugins.gerrit.changes import Changes
from headgate_plugins.gerrit.client import open_client, passwords_only
from headgate_plugins.gerrit.keys import event_key, is_dropped_output
from headgate_plugins.gerrit.missed import Missed
from headgate_plugins.gerrit.reading import Reading, path_of
from headgate_plugins.gerrit.stream import Ssh, listening, load_asyncssh
from headgate_plugins.gerrit.webhooks import read_at
from headgate_plugins.gerrit.writing import DEFAULT_VOTES, Votes, Writing

TOKEN_ARGUMENT = "token"  # noqa: S105 - its name, not itself
"""The query argument that proves a webhook: it is masked before the delivery is kept, as the rest of a URL is not."""

TOKEN_HEADER = "x-headgate-token"  # noqa: S105 - likewise
"""The same as a header, for whatever stands between Gerrit and us and can set one."""


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[Gerrit]:
    """A connection whose `options` fit the schema.

    Raises `CredentialError` when a webhook secret cannot be had, `ConfigError` for a stream without its library.
    """
    secrets = await api.webhook_secrets(options, host)
    reference, streams = options.get("credential"), bool(options.get("stream"))
    site = BaseUrl.read(options["base_url"], configured=True)
    signs_in = StoredCredential(host, reference, site, token=passwords_only)
    if streams:
        load_asyncssh()
    yield Gerrit(
        host=host,
        site=site,
        client=open_client(host, site, signs_in, signed_in=reference is not None),
        signs_in=signs_in,
        has_credential=reference is not None,
        ssh=Ssh.read(options["ssh"], site.host) if "ssh" in options else None,
        streams=streams,
        clone_over=options.get("clone", "ssh" if "ssh" in options and reference is None else "https"),
        votes={**DEFAULT_VOTES, **options.get("votes", {})},
        secrets=secrets,
        accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
    )


class _Capabilities(msgspec.Struct, rename="camel"):
    stream_events: bool = False


class Gerrit(Reading, Changes, Writing):
    """One connection. Its methods are the capabilities of `headgate.api.providers`."""

    def __init__(
        self,
        *,
        host: api.Host,
        site: BaseUrl,
        client: Client,
        signs_in: StoredCredential,
        has_credential: bool,
        ssh: Ssh | None = None,
        streams: bool = False,
        clone_over: str = "https",
        votes: Votes = DEFAULT_VOTES,
        secrets: Sequence[api.Secret] = (),
        accept_unsigned: bool = False,
    ) -> None:
        """`site`: as people open it. Without `secrets` no webhook is accepted, unless `accept_unsigned` says so."""
        self._ours = host
        self._log = host.log
        self._site = site
        self._host = api.host_of(site.url)
        self._client = client
        self._signs_in = signs_in
        self._has_credential = has_credential
        self._ssh = ssh
        self._streams = streams
        self._clone_over = clone_over
        self._votes = votes
        self._voting = asyncio.Lock()
        self._secrets = tuple(secrets)
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The webhooks plugin signs nothing: a token in the URL proves that Gerrit's configuration knew it.

        https://gerrit.googlesource.com/plugins/webhooks/+/refs/heads/master/src/main/resources/Documentation/config.md
        """
        secret = 0
        if delivery.hook:
            # Not repeated: it may be the token, put where it would be kept.
            raise api.Unauthenticated("a gerrit connection has no further hooks; the token is the argument `token`")
        if self._secrets or not self._accept_unsigned:
            secret = api.check_token(_token(delivery), self._secrets)
        return api.Seal(key=event_key(delivery.body), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says, with the host of this connection where it names none."""
        return read_at(delivery, self._host)

    def stream(self, since: datetime | None) -> AsyncIterator[api.Streamed | api.CaughtUp] | None:
        """The events of `stream-events`, those first that were missed, where the REST API can be asked for them."""
        if not self._streams or self._ssh is None:
            return None
        return self._listen(self._ssh, since)

    async def _listen(self, ssh: Ssh, since: datetime | None) -> AsyncIterator[api.Streamed | api.CaughtUp]:
        async with listening(ssh, self._ours) as lines:
            unknown = ""
            if since is not None and self._has_credential:
                missed = Missed(self._client, self._site.url, since, self._ours.now())
                async for body in missed.bodies():
                    yield api.Streamed(body=body, key=event_key(body))
                unknown = missed.unknown
            elif since is not None:
                unknown = f"without a credential nothing could be asked for since {since:%Y-%m-%d %H:%M} UTC"
            yield api.CaughtUp(unknown=unknown)
            async for line in lines:
                if is_dropped_output(line):
                    raise api.Unavailable(f"{ssh.host} left out events, because they were not read fast enough")
                yield api.Streamed(body=line, key=event_key(line))

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/a/{project}` with the credential, `{base_url}/{project}` without; or over SSH.

        https://gerrit-review.googlesource.com/Documentation/user-upload.html
        """
        path = path_of(repository)
        if self._clone_over == "ssh" and self._ssh is not None:
            ssh = self._ssh
            return api.CloneSource(
                url=f"ssh://{ssh.user}@{ssh.host}:{ssh.port}/{path}", credential=await ssh.credential(self._ours)
            )
        credential = await self._signs_in.credential()
        return api.CloneSource(url=f"{self._site.url}/{'a/' if credential else ''}{path}", credential=credential)

    async def test_connection(self) -> api.ConnectionReport:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-accounts.html#get-account and #list-account-capabilities"""
        if not self._has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only what everybody sees can be read, nothing that a stream missed is "
                "asked for, and no vote is cast",
            )
        account = await self._client.get("/accounts/self", type=Account)
        wanted = {"q": ["streamEvents"]}
        may = await self._client.get("/accounts/self/capabilities", type=_Capabilities, params=wanted)
        held = ("Stream Events",) if may.stream_events else ()
        listens = self._ssh is not None and self._streams and self._ssh.user == account.username
        missing = ("Stream Events",) if listens and not may.stream_events else ()
        return api.ConnectionReport(user=account.shown(), permissions=held, missing=missing)


def _token(delivery: api.Delivery) -> str | None:
    """From the header or the URL, never from both: one of them would be somebody else's."""
    header = [value for name, value in delivery.headers if name == TOKEN_HEADER]
    argument = [value for name, value in delivery.query if name == TOKEN_ARGUMENT]
    return [*header, *argument][0] if len(header) + len(argument) == 1 else None
