"""Who a request is made as: fetched each time, renewed once when refused, and in no message."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Authorization, BaseUrl, Bounds, StoredCredential, basic, bearer, in_header
from headgate.api.testing import ContractHost

TOKEN = "s3cret-t0ken"


class Renewable:
    """An OAuth application's tokens: `t1`, and after a renewal `t2`."""

    def __init__(self):
        self.number, self.renewals = 1, 0

    async def __call__(self, *, renew):
        if renew:
            self.renewals += 1
            await asyncio.sleep(0)
            self.number += 1
        return bearer(api.Secret(f"tokentoken{self.number}"))


def only(*tokens):
    def answer(request):
        good = request.headers.get("Authorization") in {f"Bearer {token}" for token in tokens}
        body = {} if good else {"message": "Bad credentials: " + request.headers["Authorization"]}
        return web.json_response(body, status=200 if good else 401)

    return answer


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_token_is_renewed_and_the_request_made_again(play, method):
    tokens = Renewable()
    played = await play(only("tokentoken2"), authorize=tokens)
    assert (await played.client.call(method, "/x")).status == 200
    assert (len(played.requests), tokens.renewals) == (2, 1)


async def test_it_is_renewed_once_and_then_refused(play):
    tokens = Renewable()
    played = await play(only(), authorize=tokens)
    with pytest.raises(api.Refused, match="401"):
        await played.client.call("GET", "/x")
    assert (len(played.requests), tokens.renewals) == (2, 1)


async def test_of_many_callers_one_renews(play):
    tokens = Renewable()
    played = await play(only("tokentoken2"), authorize=tokens)
    await asyncio.gather(*(played.client.call("GET", f"/{n}") for n in range(8)))
    assert tokens.renewals == 1


async def test_a_token_that_cannot_be_renewed_is_not_sent_twice(play):
    played = await play(only())
    with pytest.raises(api.Refused):
        await played.client.call("GET", "/x")
    assert len(played.requests) == 1


async def test_a_new_token_in_the_store_works_at_once(play):
    played = await play(only(TOKEN, "another-token"))
    await played.client.call("GET", "/x")
    new = api.Credential(type="token", fields={"token": api.Secret("another-token")}, hosts=("127.0.0.1",))
    played.host._credentials["secret://s/api"] = new
    await played.client.call("GET", "/x")
    assert played.requests[-1].headers["Authorization"] == "Bearer another-token"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 500])
async def test_an_error_that_echoes_our_secrets_is_masked(play, status):
    """The token as the store has it, and one that only the provider's plugin ever saw."""
    derived = api.Secret("installation-token-9")

    async def authorize(*, renew):
        return Authorization(
            headers={"Authorization": api.Secret("Bearer " + derived.reveal()), "X-Key": api.Secret(TOKEN)}
        )

    def answer(request):
        said = " ".join(request.headers.getall("Authorization") + request.headers.getall("X-Key"))
        return web.json_response({"message": f"you sent {said}"}, status=status)

    played = await play(answer, authorize=authorize, bounds=Bounds(attempts=1))
    with pytest.raises(api.ProviderError) as caught:
        await played.client.call("GET", "/x")
    assert "you sent" in str(caught.value)
    assert "***" in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "installation-token-9" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_control_without_masking_the_echo_is_told(play, monkeypatch):
    """Negative control: the same answer, with a host that masks nothing."""
    played = await play(lambda request: web.json_response({"message": request.headers["Authorization"]}, status=400))
    monkeypatch.setattr(played.host, "masked", lambda text: text)
    with pytest.raises(api.ProviderError, match=TOKEN):
        await played.client.call("GET", "/x")


async def test_scopes_that_echo_a_secret_are_masked(play):
    played = await play(
        lambda _: web.json_response(
            {}, status=403, headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{TOKEN}"'}
        )
    )
    with pytest.raises(api.Refused) as caught:
        await played.client.call("GET", "/x")
    assert caught.value.missing == ("***",)


async def test_no_secret_is_in_a_url(play):
    played = await play(lambda _: web.json_response({}))
    await played.client.call("GET", "/x", params={"page": 1})
    assert TOKEN not in str(played.requests[0].url)


def test_a_secret_does_not_print_itself():
    assert TOKEN not in repr(bearer(api.Secret(TOKEN)))


def test_ways_to_send_a_credential():
    secret = api.Secret("t0ken")
    sent = [
        bearer(secret),
        basic("ada", secret),
        in_header("PRIVATE-TOKEN", secret),
        in_header("Authorization", secret, scheme="token"),
    ]
    assert [(name, value.reveal()) for one in sent for name, value in one.headers.items()] == [
        ("Authorization", "Bearer t0ken"),
        ("Authorization", "Basic YWRhOnQwa2Vu"),
        ("PRIVATE-TOKEN", "t0ken"),
        ("Authorization", "token t0ken"),
    ]


@pytest.mark.parametrize("text", ["a\r\nX: b", "tökén", "a\0b"])
def test_what_no_header_can_carry_is_named_before_it_is_sent(text):
    with pytest.raises(api.CredentialError, match="line break"):
        bearer(api.Secret(text))


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (api.Credential(type="token", fields={"token": api.Secret("t")}, hosts=("other.example",)), "not bound"),
        (api.Credential(type="text", fields={"text": api.Secret("t")}, hosts=("*",)), "type text"),
    ],
)
async def test_a_credential_that_may_not_go_there_or_does_not_fit_is_refused(credential, words):
    base = BaseUrl.read("https://git.acme.example", configured=True)
    stored = StoredCredential(ContractHost({"secret://s/x": credential}), "secret://s/x", base)
    with pytest.raises(api.CredentialError, match=words):
        await stored(renew=False)


async def test_a_signed_request_is_signed_as_it_goes_out_at_each_attempt(play, in_turn):
    seen = []

    def sign(request):
        seen.append(request)
        return {"X-Signature": f"{len(seen)}"}

    async def authorize(*, renew):
        return Authorization(headers={"X-Key": api.Secret("the-key")}, sign=sign)

    played = await play(in_turn(503, 200), authorize=authorize)
    await played.client.call("POST", "/x", params={"q": "a b"}, body={"n": 1}, idempotent=True)
    assert [one.headers["X-Signature"] for one in played.requests] == ["1", "2"]
    first = seen[0]
    assert (first.method, first.url, first.body) == ("POST", f"{played.url}/x?q=a+b", b'{"n":1}')
    assert first.headers["X-Key"] == "the-key"
    assert first.headers["Content-Type"] == "application/json"
    assert played.bodies == [first.body] * 2
    assert str(played.requests[0].url) == first.url


async def test_answers_of_signed_requests_are_not_kept(play, in_turn):
    """What they were signed with is not part of what answers are kept by."""

    async def authorize(*, renew):
        return Authorization(sign=lambda request: {})

    played = await play(in_turn((200, {}, {"ETag": "one"})), authorize=authorize)
    for _ in range(2):
        await played.client.call("GET", "/x")
    assert ["If-None-Match" in one.headers for one in played.requests] == [False, False]
