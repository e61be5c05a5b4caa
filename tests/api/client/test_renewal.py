"""Tokens that end: got once for all who ask, before they end, and never lost with the caller who asked."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Issued, RenewedToken, StoredCredential
from headgate.api.testing import NOW, ContractHost

KEY = api.Credential(
    type="oauth",
    fields={name: api.Secret(f"{name}-of-ours") for name in ("client_id", "client_secret", "refresh_token")},
    hosts=("127.0.0.1",),
)


class Mint:
    """Gives `token-1`, `token-2` … that live for an hour, and remembers for what."""

    def __init__(self, host, life=timedelta(hours=1)):
        self.host, self.life, self.asked, self.error = host, life, [], None
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, credential):
        self.asked.append(credential)
        number = len(self.asked)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        ends = None if self.life is None else self.host.now() + self.life
        return Issued(token=api.Secret(f"token-{number}"), expires_at=ends)


class TurnedHost(ContractHost):
    def __init__(self):
        super().__init__({"secret://s/oauth": KEY})
        self.time = NOW

    def now(self):
        return self.time


@pytest.fixture
def host():
    return TurnedHost()


def other(text):
    return api.Credential(type="oauth", fields={**KEY.fields, "refresh_token": api.Secret(text)}, hosts=KEY.hosts)


@pytest.mark.parametrize(
    ("life", "good", "over"),
    [
        (timedelta(hours=1), timedelta(minutes=57), timedelta(minutes=58)),
        (timedelta(seconds=40), timedelta(seconds=29), timedelta(seconds=30)),
        (None, timedelta(days=400), None),
    ],
)
async def test_a_token_is_used_until_shortly_before_its_end(host, life, good, over):
    mint = Mint(host, life)
    renewed = RenewedToken(host, mint)
    await renewed.token(KEY)
    host.time = NOW + good
    assert (await renewed.token(KEY)).reveal() == "token-1"
    if over is not None:
        host.time = NOW + over
        assert (await renewed.token(KEY)).reveal() == "token-2"


async def test_many_callers_share_one_request(host):
    mint = Mint(host)
    renewed = RenewedToken(host, mint)
    tokens = await asyncio.gather(*(renewed.token(KEY) for _ in range(20)))
    assert {token.reveal() for token in tokens} == {"token-1"}
    assert len(mint.asked) == 1


async def test_a_caller_who_is_cancelled_takes_nothing_along(host):
    mint = Mint(host)
    mint.go.clear()
    renewed = RenewedToken(host, mint)
    caller = asyncio.create_task(renewed.token(KEY))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    mint.go.set()
    await renewed.settled()
    assert (await renewed.token(KEY)).reveal() == "token-1"
    assert len(mint.asked) == 1


async def test_a_fault_that_nobody_waits_for_is_no_loose_end(host):
    mint = Mint(host)
    mint.go.clear()
    mint.error = api.Unavailable("down")
    renewed = RenewedToken(host, mint)
    caller = asyncio.create_task(renewed.token(KEY))
    await asyncio.sleep(0)
    caller.cancel()
    mint.go.set()
    await renewed.settled()
    mint.error = None
    assert (await renewed.token(KEY)).reveal() == "token-2"


async def test_a_refused_token_is_replaced_unless_it_is_young(host):
    mint = Mint(host)
    renewed = RenewedToken(host, mint)
    await renewed.token(KEY)
    host.time = NOW + timedelta(seconds=9)
    assert (await renewed.token(KEY, renew=True)).reveal() == "token-1"
    host.time = NOW + timedelta(seconds=10)
    assert (await renewed.token(KEY, renew=True)).reveal() == "token-2"


async def test_another_credential_gets_another_token_at_once(host):
    mint = Mint(host)
    renewed = RenewedToken(host, mint)
    await renewed.token(KEY)
    assert (await renewed.token(other("set-by-an-admin"))).reveal() == "token-2"
    assert (await renewed.token(KEY)).reveal() == "token-3"


async def test_two_credentials_at_once_are_asked_for_one_after_the_other(host):
    mint = Mint(host)
    mint.go.clear()
    renewed = RenewedToken(host, mint)
    first, second = (asyncio.create_task(renewed.token(one)) for one in (KEY, other("another")))
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(mint.asked) == 1
    mint.go.set()
    assert [(await one).reveal() for one in (first, second)] == ["token-1", "token-2"]


@pytest.mark.parametrize(
    ("error", "asked"), [(api.CredentialError("no"), 1), (api.Refused("no"), 1), (api.Unavailable("later"), 3)]
)
async def test_a_refusal_rests_and_a_failure_does_not(host, error, asked):
    mint = Mint(host)
    mint.error = error
    renewed = RenewedToken(host, mint)
    for _ in range(3):
        with pytest.raises(type(error)):
            await renewed.token(KEY)
    assert len(mint.asked) == asked
    host.time = NOW + timedelta(seconds=11)
    mint.error = None
    await renewed.token(KEY)


async def test_a_new_credential_does_not_wait_for_the_rest(host):
    mint = Mint(host)
    mint.error = api.CredentialError("no")
    renewed = RenewedToken(host, mint)
    with pytest.raises(api.CredentialError):
        await renewed.token(KEY)
    mint.error = None
    assert (await renewed.token(other("better"))).reveal() == "token-2"


async def test_a_token_is_masked_before_anybody_has_it(host):
    renewed = RenewedToken(host, Mint(host))
    await renewed.token(KEY)
    assert host.masked("it is token-1") == "it is ***"


def accepting(*tokens):
    def answer(request):
        good = request.headers.get("Authorization") in {f"Bearer {token}" for token in tokens}
        return web.json_response({}, status=200 if good else 401)

    return answer


async def test_a_client_renews_on_401_and_git_is_given_the_same_token(play):
    played = await play(accepting("token-2"))
    host, base = played.host, played.client.base
    host._credentials["secret://s/oauth"] = KEY
    mint = Mint(host)
    renewed = {"oauth": RenewedToken(host, mint, rest=timedelta())}
    stored = StoredCredential(host, "secret://s/oauth", base, renewed=renewed)
    played = await play(accepting("token-2"), authorize=stored)
    assert (await played.client.call("GET", "/x")).status == 200
    assert [request.headers["Authorization"] for request in played.requests] == ["Bearer token-1", "Bearer token-2"]
    given = await stored.credential()
    assert (given.type, given.text().reveal(), given.hosts) == ("token", "token-2", KEY.hosts)


@pytest.mark.parametrize("hosts", [(), ("git.example.org",)])
async def test_a_credential_bound_elsewhere_gets_no_token(play, hosts):
    played = await play(accepting())
    bound = api.Credential(type="oauth", fields=KEY.fields, hosts=hosts)
    played.host._credentials["secret://s/oauth"] = bound
    mint = Mint(played.host)
    stored = StoredCredential(
        played.host, "secret://s/oauth", played.client.base, renewed={"oauth": RenewedToken(played.host, mint)}
    )
    for call in (stored(renew=False), stored.credential()):
        with pytest.raises(api.CredentialError, match="not bound"):
            await call
    assert not mint.asked


async def test_a_type_that_nothing_gets_tokens_for_is_named(play):
    played = await play(accepting())
    played.host._credentials["secret://s/oauth"] = KEY
    stored = StoredCredential(played.host, "secret://s/oauth", played.client.base)
    with pytest.raises(api.CredentialError, match="of type oauth; this takes token or user_password"):
        await stored(renew=False)
