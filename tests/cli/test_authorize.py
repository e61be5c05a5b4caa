"""`headgate credentials authorize` against a real authorization server on loopback, with a browser made of a client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import sys
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headgate import api
from headgate.api.client import CodeRequest, oauth
from headgate.cli.authorize import Application, authorize, known_application
from headgate_plugins.encrypted_credentials import EncryptedCredentials
from headgate_plugins.github import headgate_providers

KIND = next(iter(headgate_providers()))
APPLICATION = Application(client_id="app-1", client_secret=api.Secret("sesame-seed"))


class AuthorizationServer:
    """Gives a code for a consent, and tokens for a code with its verifier, as GitHub, GitLab and RFC 7636 do."""

    def __init__(self):
        self.consents, self.exchanges, self.codes = [], [], {}
        self.changes = {}
        """What is changed of the redirect back."""
        self.tokens = {"access_token": "ghu-1", "refresh_token": "ghr-1", "token_type": "bearer", "expires_in": 28800}
        self.tokens["scope"] = "repo,read:org"

    async def consent(self, request):
        query = dict(request.query)
        self.consents.append(query)
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.consents)}"
        self.codes[code] = query
        back = {"code": code, "state": query["state"], **self.changes}
        back = {name: value for name, value in back.items() if value is not None}
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(back)}")

    async def exchange(self, request):
        form = dict(await request.post())
        self.exchanges.append(form)
        asked = self.codes.pop(form.get("code"), None)
        if asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "bad_verification_code"})
        if (form["client_id"], form["client_secret"]) != (asked["client_id"], "sesame-seed"):
            return web.json_response({"error": "incorrect_client_credentials"})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant", "error_description": "the verifier"}, status=400)
        return web.json_response(self.tokens)


@pytest.fixture
async def host():
    server = AuthorizationServer()
    app = web.Application()
    app.router.add_get("/login/oauth/authorize", server.consent)
    app.router.add_post("/login/oauth/access_token", server.exchange)
    async with TestServer(app) as listening:
        server.url = f"http://127.0.0.1:{listening.port}"
        yield server


@pytest.fixture
def store(tmp_path):
    return EncryptedCredentials(
        "encrypted", file=tmp_path / "c.json", key_file=tmp_path / "c.key", create_key=True, blocking=asyncio.to_thread
    )


@pytest.fixture
async def browser():
    """`browser(url)`: goes there, follows redirects, and gives what it ends at."""
    async with aiohttp.ClientSession() as session:

        async def visit(url, *, method="GET"):
            async with session.request(method, url) as response:
                return SimpleNamespace(status=response.status, text=await response.text(), headers=response.headers)

        yield visit


@contextlib.asynccontextmanager
async def asking(host, store, *, within=20.0, application=APPLICATION, hosts=()):
    """An authorisation under way: `request` is what the person was told, `kept` what comes of it."""
    told = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        authorize(
            KIND,
            {"base_url": host.url},
            application,
            store=store,
            name="acme",
            hosts=hosts,
            within=within,
            tell=told.set_result,
        )
    )
    try:
        yield SimpleNamespace(request=await told, kept=task)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def nothing_is_kept(store):
    assert not await store.list()
    return True


async def test_consent_becomes_a_credential_that_can_be_renewed(host, store, browser):
    async with asking(host, store, hosts=("api.example.org",)) as it:
        page = await browser(it.request.url)
        kept = await it.kept
    assert (page.status, kept.scopes) == (200, ("repo", "read:org"))
    assert "close this window" in page.text
    found = await store.get("acme")
    assert found.type == "oauth"
    assert {name: secret.reveal() for name, secret in found.fields.items()} == {
        "client_id": "app-1",
        "client_secret": "sesame-seed",
        "refresh_token": "ghr-1",
    }
    assert found.hosts == ("127.0.0.1", "api.example.org")
    ((consent,), (exchange,)) = host.consents, host.exchanges
    assert (consent["scope"], consent["redirect_uri"]) == ("repo", it.request.redirect_uri)
    assert exchange["code_verifier"] == it.request.verifier.reveal()


@pytest.mark.parametrize("state", ["guessed", "", None])
async def test_a_redirect_with_another_state_is_refused_and_the_right_one_still_taken(host, store, browser, state):
    host.changes = {"state": state}
    async with asking(host, store) as it:
        page = await browser(it.request.url)
        assert page.status == 400
        assert not it.kept.done()
        assert not host.exchanges
        host.changes = {}
        await browser(it.request.url)
        await it.kept
    assert [form["code"] for form in host.exchanges] == ["code-2"]


async def test_control_without_the_state_a_strangers_code_would_be_taken(host, store, browser, monkeypatch):
    monkeypatch.setattr(CodeRequest, "answered_by", lambda request, state: True)
    host.changes = {"state": "guessed", "code": "code-of-a-stranger"}
    async with asking(host, store) as it:
        await browser(it.request.url)
        with pytest.raises(api.Refused, match="bad_verification_code"):
            await it.kept
    assert [form["code"] for form in host.exchanges] == ["code-of-a-stranger"]
    assert await nothing_is_kept(store)


@pytest.mark.parametrize("verifier", [None, "", "x" * 43])
async def test_a_code_without_its_verifier_is_worth_nothing(host, store, browser, monkeypatch, verifier):
    """As for somebody who stole the code on its way: the challenge that we sent makes the server refuse it."""
    encode = oauth.urlencode

    def spoilt(form):
        changed = {**form, "code_verifier": verifier} if "code_verifier" in form else form
        return encode({name: value for name, value in changed.items() if value is not None})

    monkeypatch.setattr(oauth, "urlencode", spoilt)
    async with asking(host, store) as it:
        await browser(it.request.url)
        with pytest.raises(api.Refused, match="the verifier"):
            await it.kept
    assert host.exchanges[0].get("code_verifier") == verifier
    assert await nothing_is_kept(store)


async def test_a_denial_keeps_nothing_and_says_so(host, store, browser):
    host.changes = {"code": None, "error": "access_denied", "error_description": "The user has denied"}
    async with asking(host, store) as it:
        await browser(it.request.url)
        with pytest.raises(api.CredentialError, match="it was denied; nothing was changed"):
            await it.kept
    assert not host.exchanges
    assert await nothing_is_kept(store)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": None, "error": "invalid_scope", "error_description": "sesame-seed"}, r"invalid_scope \*\*\*"),
        ({"code": None}, "neither a code nor a reason"),
        ({"code": ""}, "neither a code nor a reason"),
    ],
)
async def test_an_answer_without_a_code_keeps_nothing(host, store, browser, changes, words):
    host.changes = changes
    async with asking(host, store) as it:
        await browser(it.request.url)
        with pytest.raises(api.CredentialError, match=words):
            await it.kept
    assert await nothing_is_kept(store)


async def test_nobody_is_waited_for_without_end(host, store):
    async with asking(host, store, within=0.05) as it:
        with pytest.raises(api.CredentialError, match=r"nobody answered within 0\.05 seconds"):
            await it.kept
    assert await nothing_is_kept(store)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"access_token": None}, api.ProviderError),
        ({"token_type": "mac"}, api.ProviderError),
        ({"refresh_token": None}, api.ProviderError),
        ({"error": "incorrect_client_credentials"}, api.Refused),
    ],
)
async def test_what_cannot_be_used_is_not_kept(host, store, browser, changes, error):
    host.tokens = {name: value for name, value in {**host.tokens, **changes}.items() if value is not None}
    async with asking(host, store) as it:
        await browser(it.request.url)
        with pytest.raises(error):
            await it.kept
    assert await nothing_is_kept(store)


async def test_a_token_that_never_ends_is_kept_as_a_token(host, store, browser):
    host.tokens = {"access_token": "gho-for-ever", "token_type": "bearer", "scope": "repo"}
    async with asking(host, store) as it:
        await browser(it.request.url)
        await it.kept
    found = await store.get("acme")
    assert (found.type, found.text().reveal(), found.hosts) == ("token", "gho-for-ever", ("127.0.0.1",))


async def test_another_client_secret_is_refused(host, store, browser):
    async with asking(host, store, application=Application(client_id="app-1", client_secret=api.Secret("guess"))) as it:
        await browser(it.request.url)
        with pytest.raises(api.Refused, match="incorrect_client_credentials") as caught:
            await it.kept
    assert "guess" not in str(caught.value)


async def test_the_listener_has_one_page_and_learns_nothing_from_others(host, store, browser):
    async with asking(host, store) as it:
        state = urlencode({"state": it.request.state.reveal(), "code": "x"})
        root = it.request.redirect_uri.removesuffix("/callback")
        tried = [
            await browser(f"{root}/?{state}"),
            await browser(f"{root}/callback/../callbac?{state}"),
            await browser(f"{root}/callback?{state}", method="POST"),
            await browser(f"{root}/callback?{state}&code=y"),
            await browser(f"{root}/callback?{'&'.join(f'a{n}=1' for n in range(40))}&{state}"),
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(root).port)
        writer.write(b"GET /callback?" + b"x" * 40_000)
        await writer.drain()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        assert not it.kept.done()
    assert [one.status for one in tried] == [404, 404, 404, 400, 400]
    for page in tried:
        assert page.headers["Cache-Control"] == "no-store"
        assert it.request.state.reveal() not in page.text


async def test_the_listener_is_for_this_machine_only(host, store):
    async with asking(host, store) as it:
        assert urlsplit(it.request.redirect_uri).hostname == "127.0.0.1"


async def test_a_port_that_is_taken_says_so(host, store, unused_tcp_port):
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", unused_tcp_port)
    async with taken:
        with pytest.raises(OSError, match=str(unused_tcp_port)):
            await authorize(
                KIND,
                {"base_url": host.url},
                Application(client_id="a", client_secret=api.Secret("sesame-seed"), port=unused_tcp_port),
                store=store,
                name="acme",
                hosts=(),
                within=1,
                tell=lambda _: None,
            )


async def test_the_second_time_the_application_and_its_hosts_are_known(host, store, browser):
    assert await known_application(store, "acme") == ({}, ())
    async with asking(host, store, hosts=("api.example.org",)) as it:
        await browser(it.request.url)
        await it.kept
    fields, hosts = await known_application(store, "acme")
    assert {name: secret.reveal() for name, secret in fields.items()} == {
        "client_id": "app-1",
        "client_secret": "sesame-seed",
    }
    assert hosts == ("127.0.0.1", "api.example.org")


# -- the command


@pytest.fixture
def folder(tmp_path, host):
    (tmp_path / "config.yaml").write_text(
        "data: state\n"
        "credential_stores:\n"
        "  encrypted: {file: state/credentials.sealed, key_file: state/credentials.key}\n"
        "  env: {}\n"
        "connections:\n"
        f"  acme: {{provider: github, base_url: '{host.url}', accept_unsigned: 'yes, anyone may start builds'}}\n"
        "  plain: {provider: git, base_url: https://git.example.org, accept_unsigned: 'yes, anyone may start builds'}\n"
    )
    return tmp_path


def test_what_cannot_be_authorized_is_said_before_anything_is_asked(headgate, folder):
    for arguments, words in (
        (("encrypted/x", "--connection", "nobody"), "there is no connection nobody"),
        (("env/x", "--connection", "acme"), "can only be read"),
        (("x", "--connection", "acme"), "store/name"),
        (("encrypted/x", "--connection", "plain"), "gives no tokens this way"),
    ):
        done = headgate("credentials", "authorize", *arguments, stdin="{}", cwd=folder)
        assert done.returncode in {1, 2}
        assert words in done.stderr
        assert "Traceback" not in done.stderr


async def test_the_command_sends_the_person_there_and_keeps_what_comes_back(folder, browser, host):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from headgate.cli import main; main()", "--json"),
        *("credentials", "authorize", "encrypted/acme", "--connection", "acme", "--scope", "read:user"),
        cwd=folder,
        env=dict(os.environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    process.stdin.write(json.dumps({"client_id": "app-1", "client_secret": "sesame-seed"}).encode())
    process.stdin.close()
    async with asyncio.timeout(60):
        said = b""
        while not (found := re.search(rb"(http://\S+/login/oauth/authorize\?\S+)", said)):
            line = await process.stderr.readline()
            assert line, said
            said += line
        await browser(found[1].decode())
        output, rest = await process.communicate()
    assert process.returncode == 0, rest
    kept = json.loads(output)
    assert (kept["name"], kept["type"], kept["version"], kept["hosts"]) == ("acme", "oauth", 1, ["127.0.0.1"])
    assert parse_qs(urlsplit(found[1].decode()).query)["scope"] == ["read:user"]
    for secret in (b"ghr-1", b"ghu-1", b"sesame-seed"):
        assert secret not in said + output + rest
