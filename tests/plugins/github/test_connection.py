"""GitHub's seal, and what a connection does: the contract every provider keeps, and GitHub's own rules."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from goldens import recording

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import NOW, ContractHost, ProviderContract
from headgate_plugins import github

KIND = next(iter(github.headgate_providers()))
PAYLOADS = sorted(Path(__file__).parent.joinpath("payloads").glob("*.json"))
PUSH = Path(__file__).parent.joinpath("payloads", "push--moved.json").read_bytes()
SHOWN = {
    "push--created": "created",
    "push--deleted": "deleted",
    "pull_request--opened": "from_branch",
    "pull_request--fork": "from_fork",
}
SHA = "a1" * 20


class TestContract(ProviderContract):
    kind = KIND
    body = PUSH
    signature_headers = ("x-hub-signature-256",)
    repository = "acme/web"
    polled = {"refs/heads/main": "c3" * 20}  # noqa: RUF012
    clones_from = "https://github.com"
    mutants = 10_000
    same_repository = (
        "acme/web",
        "Acme/Web",
        "/acme/web/",
        "acme/web.git",
        "https://github.com/Acme/Web",
        "https://github.com/acme/web.git/",
        "ssh://git@github.com:22/acme/web.git",
        "git@github.com:Acme/web.git",
        "github.com:acme/web",
        "git://github.com/acme/web",
    )
    no_repository = (*ProviderContract.no_repository, "acme", "a/b/c", "https://github.com/acme", "a/.git", "a/..")

    def headers(self, body, secret, at):
        return {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-hub-signature-256": "sha256=" + api.hmac_sha256_hex(body, api.Secret(secret)),
        }

    def recordings(self):
        return {
            SHOWN.get(path.stem, path.stem): recording(path, {"x-github-event": path.stem.partition("--")[0]})
            for path in PAYLOADS
        }

    def another(self):
        return PUSH, {"x-github-delivery": "83e4273f-cc78-11e3-81ab-4c9367dc0959"}

    def unknown(self):
        return b'{"action": "created"}', {"x-github-event": "sponsorship_of_tomorrow"}

    def test_sha1_is_never_enough(self):
        """The older header is what GitHub still sends beside it."""
        good = self.deliver()
        headers = tuple(pair for pair in good.headers if pair[0] != "x-hub-signature-256")
        sha1 = ("x-hub-signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6")
        self.refuses(self.open(), msgspec.structs.replace(good, headers=(*headers, sha1)))

    def test_the_delivery_id_is_the_key(self):
        """Redelivered by hand or by API, it is the same."""
        assert self.open().authenticate(self.deliver()).key == "72d3162e-cc78-11e3-81ab-4c9367dc0958"

    @pytest.mark.parametrize("key", ["x" * 129, "\udcff", "é"])
    def test_a_delivery_id_that_could_not_be_kept_is_refused(self, key):
        """It is not signed, so anybody who replays a request can choose it."""
        good = self.deliver()
        headers = tuple((name, key if name == "x-github-delivery" else value) for name, value in good.headers)
        self.refuses(self.open(), msgspec.structs.replace(good, headers=headers))

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same unsigned request is accepted."""
        unsigned = self.deliver(headers=[("x-github-event", "push")])
        self.refuses(self.open(), unsigned)
        assert self.open({"accept_unsigned": ACCEPT_UNSIGNED}).authenticate(unsigned) == api.Seal()

    def test_half_a_sentence_opens_no_door(self):
        """The schema takes the whole sentence only, and never beside secrets."""
        for options in (
            {"accept_unsigned": "yes"},
            {"accept_unsigned": True},
            {**self.options, "accept_unsigned": ACCEPT_UNSIGNED},
        ):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(options, self.kind.schema)

    @pytest.mark.parametrize(
        ("url", "accepted"),
        [
            ("https://github.com", True),
            ("https://git.acme.example:8443/github", True),
            ("http://127.0.0.1:8000", True),
            ("http://git.acme.example", False),
            ("https://user:pass@github.com", False),
            ("https://github.com?x=1", False),
            ("file:///etc", False),
        ],
    )
    def test_base_urls(self, url, accepted):
        """A token must not travel in the clear, nor a password stand in the configuration."""
        validator = jsonschema.Draft202012Validator(self.kind.schema)
        assert validator.is_valid({**self.options, "base_url": url}) is accepted


async def test_an_empty_webhook_secret_is_no_secret():
    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret("")})})
    with pytest.raises(api.CredentialError, match="empty"):
        async with KIND.open({"webhook_secrets": ["secret://s/h"]}, host):
            pass


class HostWithHttp(ContractHost):
    http = None


@contextlib.asynccontextmanager
async def connected(answer, *, credential="token", hosts=("127.0.0.1",), with_credential=True, port=None):
    """A connection to a server on loopback that answers every request with `answer(request)`."""
    seen = []

    async def handle(request):
        seen.append((request.method, request.path, dict(request.headers), await request.text()))
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    fields = {"token": {"token": "t0ken"}, "user_password": {"username": "ada", "password": "t0ken"}}[credential]
    secrets = {
        "secret://s/hook": api.Credential(type="text", fields={"text": api.Secret("hook")}),
        "secret://s/api": api.Credential(
            type=credential, fields={name: api.Secret(text) for name, text in fields.items()}, hosts=hosts
        ),
    }
    async with TestServer(app) as server, ClientSession() as session:
        host = HostWithHttp(secrets)
        host.http = session
        options = {"webhook_secrets": ["secret://s/hook"], "base_url": f"http://127.0.0.1:{port or server.port}/"}
        if with_credential:
            options["credential"] = "secret://s/api"
        async with KIND.open(options, host) as provider:
            provider.seen, provider.port, provider.host = seen, server.port, host
            yield provider


REPOSITORY = api.Repository(host="github.com", path="Acme/Web")


async def report(provider, state="succeeded", description="ok"):
    status = api.CommitStatus(
        context="headgate/web", state=state, description=description, url="https://ci.example/b/1"
    )
    await provider.report_status(REPOSITORY, SHA, status)


async def test_a_status_is_posted_with_the_token_beside_it():
    async with connected(lambda _: web.json_response({}, status=201)) as provider:
        await report(provider, description="x" * 200)
        ((method, path, headers, body),) = provider.seen
    assert (method, path) == ("POST", f"/api/v3/repos/Acme/Web/statuses/{SHA}")
    assert headers["Authorization"] == "Bearer t0ken"
    sent = json.loads(body)
    assert sent | {"description": ""} == {
        "state": "success",
        "context": "headgate/web",
        "description": "",
        "target_url": "https://ci.example/b/1",
    }
    assert len(sent["description"]) == 140


async def test_every_state_of_a_build_has_a_word_at_github():
    words = {}
    async with connected(lambda _: web.json_response({}, status=201)) as provider:
        for state in ("queued", "running", "succeeded", "failed", "errored", "cancelled"):
            await report(provider, state)
            words[state] = json.loads(provider.seen[-1][3])["state"]
    assert words == {
        "queued": "pending",
        "running": "pending",
        "succeeded": "success",
        "failed": "failure",
        "errored": "error",
        "cancelled": "error",
    }


LIMIT = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 600)}


@pytest.mark.parametrize(
    ("status", "headers", "message", "error"),
    [
        (401, {}, "Bad credentials", api.Refused),
        (403, {"x-accepted-oauth-scopes": "repo:status"}, "Resource not accessible", api.Refused),
        (403, LIMIT, "API rate limit exceeded", api.RateLimited),
        (403, {"retry-after": "7"}, "You have exceeded a secondary rate limit", api.RateLimited),
        (403, {}, "You have exceeded a secondary rate limit", api.RateLimited),
        (429, {}, "", api.RateLimited),
        (301, {"location": "https://evil.example/"}, "Moved Permanently", api.NotFound),
        (404, {}, "Not Found", api.NotFound),
        (409, {}, "Conflict", api.Conflict),
        (422, {}, "No commit found for SHA", api.Conflict),
        (500, {}, "", api.Unavailable),
        (502, {}, "", api.Unavailable),
        (418, {}, "", api.ProviderError),
    ],
)
async def test_errors_say_who_must_act_and_never_the_token(status, headers, message, error):
    def answer(_):
        return web.json_response({"message": message}, status=status, headers=headers)

    async with connected(answer) as provider:
        with pytest.raises(error) as caught:
            await report(provider)
    assert type(caught.value) is error
    assert str(status) in str(caught.value)
    assert message in str(caught.value)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        (LIMIT, 600),
        (LIMIT | {"retry-after": "9"}, 9),
        ({}, 60),
        ({"retry-after": "soon"}, 60),
        ({"retry-after": "9999999999"}, 7200),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 40}, 60),
    ],
)
async def test_a_rate_limit_says_when_it_ends(headers, seconds):
    async with connected(lambda _: web.json_response({}, status=429, headers=headers)) as provider:
        with pytest.raises(api.RateLimited) as caught:
            await report(provider)
    assert (caught.value.retry_at - NOW).total_seconds() == seconds


async def test_an_error_page_and_an_endless_answer_are_unavailable():
    async with connected(lambda _: web.Response(status=503, text="<html>")) as provider:
        with pytest.raises(api.Unavailable):
            await report(provider)
    async with connected(lambda _: web.Response(status=200, body=b" " * 9_000_000)) as provider:
        with pytest.raises(api.Unavailable, match="longer"):
            await report(provider)


async def test_a_server_that_is_not_there_is_unavailable(unused_tcp_port):
    async with connected(lambda _: web.Response(), port=unused_tcp_port) as provider:
        with pytest.raises(api.Unavailable):
            await report(provider)


async def test_a_token_does_not_travel_to_a_host_it_is_not_bound_to():
    async with connected(lambda _: web.json_response({}), hosts=("github.com",)) as provider:
        with pytest.raises(api.CredentialError, match="not bound"):
            await report(provider)
        with pytest.raises(api.CredentialError, match="not bound"):
            await provider.clone_source("acme/web")
        assert provider.seen == []


async def test_a_clone_source_has_its_credential_beside_the_url():
    async with connected(lambda _: web.json_response({})) as provider:
        for spelling in ("Acme/Web", "Acme/Web.git"):
            source = await provider.clone_source(spelling)
            assert source.url == f"http://127.0.0.1:{provider.port}/Acme/Web.git"
            assert source.credential.text().reveal() == "t0ken"
        with pytest.raises(api.NotFound):
            await provider.clone_source("../etc")


async def test_a_connection_without_a_credential_clones_and_calls_without():
    async with connected(lambda _: web.json_response({}), with_credential=False) as provider:
        assert (await provider.clone_source("acme/web")).credential is None
        assert (await provider.test_connection()).missing == ("credential",)
        await report(provider)
        assert "Authorization" not in provider.seen[-1][2]


@pytest.mark.parametrize(
    ("scopes", "missing"), [("repo, read:org", ()), ("repo:status", ()), ("read:org", ("repo:status",)), (None, ())]
)
async def test_the_test_reports_user_scopes_and_what_is_missing(scopes, missing):
    headers = {"x-oauth-scopes": scopes} if scopes is not None else {}
    async with connected(lambda _: web.json_response({"login": "ada"}, headers=headers)) as provider:
        result = await provider.test_connection()
    assert (result.user, result.missing) == ("ada", missing)


async def test_a_password_is_sent_as_basic():
    async with connected(lambda _: web.json_response({"login": "ada"}), credential="user_password") as provider:
        await provider.test_connection()
        assert provider.seen[-1][2]["Authorization"] == "Basic YWRhOnQwa2Vu"


async def test_a_token_with_a_line_break_is_named_before_it_is_sent():
    async with connected(lambda _: web.json_response({})) as provider:
        credential = api.Credential(type="token", fields={"token": api.Secret("a\r\nX: b")}, hosts=("*",))
        provider.host._credentials["secret://s/api"] = credential
        with pytest.raises(api.CredentialError, match="line break"):
            await report(provider)
        assert provider.seen == []


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://git.acme.example/", "https://git.acme.example/api/v3"),
    ],
)
def test_where_the_api_is(base, expected):
    assert github.client.api_url(base) == expected
