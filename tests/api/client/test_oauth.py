"""Refresh tokens and codes against a token endpoint that checks them, and what happens when a new one gets lost."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import BaseUrl, RefreshedToken, RenewedToken, StoredCredential, TokenEndpoint, code_request
from headgate.api.testing import NOW

ENDPOINTS = api.OAuthEndpoints(site="https://git.example.org", authorize="/oauth/authorize", token="/oauth/token")
REFERENCE = "secret://s/oauth"


def oauth(refresh, *, version=1, hosts=("127.0.0.1",)):
    fields = {"client_id": "app-1", "client_secret": "sesame-seed", "refresh_token": refresh}
    secrets = {name: api.Secret(text) for name, text in fields.items()}
    return api.Credential(type="oauth", fields=secrets, hosts=hosts, version=version)


class TokenServer:
    """Gives `access-n` for the refresh token it gave last, and a new one with it."""

    def __init__(self, *, rotates=True):
        self.refresh, self.number, self.rotates = "refresh-0", 0, rotates
        self.asked = []
        self.answer = None

    async def __call__(self, request):
        assert request.path == "/oauth/token"
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = dict(await request.post())
        self.asked.append(form)
        if self.answer is not None:
            return self.answer
        if form["client_id"] != "app-1" or form["client_secret"] != "sesame-seed":
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["refresh_token"] != self.refresh:
            return web.json_response({"error": "invalid_grant", "error_description": "it was revoked"}, status=400)
        self.number += 1
        body = {"access_token": f"access-{self.number}", "token_type": "Bearer", "expires_in": 3600}
        if self.rotates:
            self.refresh = body["refresh_token"] = f"refresh-{self.number}"
        return web.json_response(body)


@pytest.fixture
async def setting(play):
    """A connection's parts around a token server."""

    async def make(server, credential=None):
        played = await play(server)
        host = played.host
        host._credentials[REFERENCE] = credential or oauth("refresh-0")
        site = BaseUrl.read(played.url, configured=True)
        issue = RefreshedToken(host, REFERENCE, TokenEndpoint(host, site, ENDPOINTS, name="Played"))
        stored = StoredCredential(host, REFERENCE, site, renewed={"oauth": RenewedToken(host, issue)})

        async def token():
            return (await stored(renew=False)).headers["Authorization"].reveal().removeprefix("Bearer ")

        return SimpleNamespace(
            token=token, host=host, clock=played.clock, kept=lambda: host._credentials[REFERENCE], issue=issue
        )

    return make


async def test_a_rotated_refresh_token_is_kept_before_its_access_token_is_used(setting):
    server = TokenServer()
    it = await setting(server)
    keep, order = it.host.keep_secret, []

    async def noted(reference, credential):
        order.append(("kept", credential.fields["refresh_token"].reveal()))
        await keep(reference, credential)

    it.host.keep_secret = noted
    order.append(("used", await it.token()))
    order.append(("used", await it.token()))
    it.clock.seconds += 3590
    order.append(("used", await it.token()))
    assert order == [
        ("kept", "refresh-1"),
        ("used", "access-1"),
        ("used", "access-1"),
        ("kept", "refresh-2"),
        ("used", "access-2"),
    ]
    assert [form["refresh_token"] for form in server.asked] == ["refresh-0", "refresh-1"]
    assert (it.kept().fields["refresh_token"].reveal(), it.kept().version, it.kept().hosts) == (
        "refresh-2",
        3,
        ("127.0.0.1",),
    )


async def test_one_that_does_not_rotate_is_left_alone(setting):
    server = TokenServer(rotates=False)
    it = await setting(server)
    assert await it.token() == "access-1"
    it.clock.seconds += 3590
    assert await it.token() == "access-2"
    assert it.kept() == oauth("refresh-0")


async def test_one_that_cannot_be_kept_fails_at_once_and_is_kept_when_it_can_be(setting):
    server = TokenServer()
    it = await setting(server)
    it.host._writable = False
    with pytest.raises(api.CredentialError, match="only be read"):
        await it.token()
    it.clock.seconds += 20
    with pytest.raises(api.CredentialError, match="only be read"):
        await it.token()
    it.host._writable = True
    it.clock.seconds += 20
    assert await it.token() == "access-1"
    assert it.kept().fields["refresh_token"].reveal() == "refresh-1"
    assert len(server.asked) == 1, "the old one was used up by the first request and must not be sent again"


async def test_an_admins_new_one_wins_over_a_renewed_one(setting):
    server = TokenServer()
    it = await setting(server)

    async def set_meanwhile(reference, credential):
        server.refresh = "refresh-of-the-admin"
        it.host._credentials[REFERENCE] = oauth("refresh-of-the-admin", version=2)
        await type(it.host).keep_secret(it.host, reference, credential)

    it.host.keep_secret = set_meanwhile
    with pytest.raises(api.CredentialError, match="changed"):
        await it.token()
    del it.host.keep_secret
    assert await it.token() == "access-2"
    assert server.asked[-1]["refresh_token"] == "refresh-of-the-admin"


async def test_when_another_process_was_faster_its_newer_one_is_taken(setting):
    server = TokenServer()
    it = await setting(server)
    read = it.host.secret
    answers = [oauth("used-up"), oauth("used-up")]

    async def stale_at_first(reference, **options):
        return answers.pop() if answers else await read(reference, **options)

    it.host.secret = stale_at_first
    assert await it.token() == "access-1"
    assert [form["refresh_token"] for form in server.asked] == ["used-up", "refresh-0"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            (400, {"error": "invalid_grant", "error_description": "no refresh-0"}),
            api.CredentialError,
            "authorize s/oauth",
        ),
        ((401, {"error": "invalid_client"}), api.CredentialError, "invalid_client"),
        (
            (200, {"error": "bad_refresh_token", "error_description": "no refresh-0"}),
            api.CredentialError,
            "bad_refresh",
        ),
        ((200, {}), api.ProviderError, "no bearer token"),
        ((200, {"access_token": "a", "token_type": "mac"}), api.ProviderError, "no bearer token"),
        ((200, {"access_token": 7}), api.ProviderError, "form"),
        ((503, {}), api.Unavailable, "503"),
        ((302, {}), api.NotFound, "moved"),
        ((404, {}), api.NotFound, "404"),
    ],
)
async def test_what_is_no_token_says_who_must_act_and_no_secret(setting, answer, error, words):
    server = TokenServer()
    server.answer = web.json_response(answer[1], status=answer[0])
    it = await setting(server)
    with pytest.raises(error, match=words) as caught:
        await it.token()
    assert "refresh-0" not in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert len(server.asked) == 1, "a refresh token may be used up by one request"


async def test_the_secrets_go_to_the_hosts_they_are_bound_to_only(setting):
    server = TokenServer()
    it = await setting(server, oauth("refresh-0", hosts=("api.example.org",)))
    with pytest.raises(api.CredentialError, match="not bound"):
        await it.issue(oauth("refresh-0"))
    assert not server.asked


async def test_both_tokens_are_masked(setting):
    it = await setting(TokenServer())
    await it.token()
    assert it.host.masked("access-1 refresh-1") == "*** ***"


def request(**changes):
    site = BaseUrl.read("https://git.example.org/git", configured=True)
    options = {"client_id": "app 1", "redirect_uri": "http://127.0.0.1:5000/callback", **changes}
    endpoints = dataclasses.replace(ENDPOINTS, scopes=("repo", "read:org"))
    return code_request(site, endpoints, **options)


def test_a_request_for_consent_has_a_state_and_a_challenge_and_no_verifier():
    made = request()
    parts = urlsplit(made.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.netloc, parts.path) == ("git.example.org", "/git/oauth/authorize")
    challenge = hashlib.sha256(made.verifier.reveal().encode()).digest()
    assert query == {
        "response_type": "code",
        "client_id": "app 1",
        "redirect_uri": "http://127.0.0.1:5000/callback",
        "scope": "repo read:org",
        "state": made.state.reveal(),
        "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    assert 43 <= len(made.verifier.reveal()) <= 128
    assert made.verifier.reveal() not in made.url


def test_no_two_requests_are_alike():
    made = [request() for _ in range(8)]
    assert len({one.state for one in made} | {one.verifier for one in made}) == 16


def test_scopes_may_be_others_or_none():
    assert "scope=api&" in request(scopes=("api",)).url
    assert "scope" not in request(scopes=()).url


@pytest.mark.parametrize("state", ["", "other", "\udcff", "é"])
def test_an_answer_to_another_request_is_none_to_this(state):
    made = request()
    assert not made.answered_by(state)
    assert made.answered_by(made.state.reveal())


async def test_a_code_is_exchanged_with_the_verifier(play):
    asked = []

    async def answer(request):
        asked.append(dict(await request.post()))
        body = {"access_token": "access-1", "refresh_token": "refresh-1", "scope": "a,b c"}
        return web.json_response({**body, "expires_in": 60})

    played = await play(answer)
    site = BaseUrl.read(played.url, configured=True)
    endpoint = TokenEndpoint(played.host, site, ENDPOINTS, name="Played")
    made = code_request(site, ENDPOINTS, client_id="app-1", redirect_uri="http://127.0.0.1:1/callback")
    tokens = await endpoint.exchange(
        made, api.Secret("code-1"), client_id="app-1", client_secret=api.Secret("sesame-seed")
    )
    assert asked == [
        {
            "grant_type": "authorization_code",
            "code": "code-1",
            "redirect_uri": "http://127.0.0.1:1/callback",
            "client_id": "app-1",
            "client_secret": "sesame-seed",
            "code_verifier": made.verifier.reveal(),
        }
    ]
    assert (tokens.access.reveal(), tokens.refresh.reveal()) == ("access-1", "refresh-1")
    assert tokens.expires_at == NOW + timedelta(seconds=60)
    assert tokens.scopes == ("a", "b", "c")
