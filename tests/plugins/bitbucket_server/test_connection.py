"""Bitbucket Data Center's seal and names, what the connection's own calls do, and the contract every provider keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import ProviderContract
from headgate.api.testing.calls import TOKEN, Answer, GitHost, calling
from headgate_plugins import bitbucket_server

KIND = next(iter(bitbucket_server.headgate_providers()))
SITE = "https://git.acme.example/bitbucket"
REPOSITORY = {"slug": "web", "id": 7, "project": {"key": "ACME"}}
PUSH = json.dumps(
    {
        "eventKey": "repo:refs_changed",
        "actor": {"name": "ada", "slug": "ada"},
        "repository": REPOSITORY,
        "changes": [
            {
                "ref": {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"},
                "refId": "refs/heads/main",
                "fromHash": "a1" * 20,
                "toHash": "b2" * 20,
                "type": "UPDATE",
            }
        ],
    }
).encode()


class TestContract(ProviderContract):
    kind = KIND
    body = PUSH
    signature_headers = ("x-hub-signature",)
    repository = "acme/web"
    polled: ClassVar = {"refs/heads/main": "b2" * 20}
    goldens = Path(__file__).with_name("goldens")
    mutants = 10_000
    options: ClassVar = {**ProviderContract.options, "base_url": SITE}
    same_repository = (
        "acme/web",
        "ACME/web",
        "/acme/web/",
        "acme/web.git",
        "https://git.acme.example/scm/acme/web.git",
        "https://ada@git.acme.example/scm/acme/web.git",
        "https://git.acme.example/bitbucket/scm/ACME/web.git/",
        "https://git.acme.example/projects/ACME/repos/web",
        "https://git.acme.example/bitbucket/projects/ACME/repos/web/browse?at=refs%2Fheads%2Fmain",
        "https://git.acme.example/projects/ACME/repos/web/pull-requests/7/overview",
        "projects/ACME/repos/web",
        "ssh://git@git.acme.example:7999/acme/web.git",
        "git@git.acme.example:acme/web.git",
    )
    no_repository = (
        *ProviderContract.no_repository,
        "acme",
        "acme/web/x",
        "https://git.acme.example/projects/ACME",
        "https://git.acme.example/projects/ACME/repos/..",
        "acme/.git",
        "~/web",
        "acme/-web",
    )

    def headers(self, body, secret, at):
        return {
            "content-type": "application/json; charset=utf-8",
            "x-event-key": "repo:refs_changed",
            "x-request-id": "13edb3d3-7c8f-4f6a-9b8e-7b3f0f0f7a11",
            "x-hub-signature": "sha256=" + api.hmac_sha256_hex(body, api.Secret(secret)),
        }

    def unknown(self):
        return b'{"eventKey": "repo:painted"}', {"x-event-key": "repo:painted"}

    @pytest.mark.parametrize(
        "url",
        [
            "~ada/x",
            "https://git.acme.example/users/ada/repos/x/browse",
            "https://git.acme.example/users/~ada/repos/x",
            "https://git.acme.example/scm/~ada/x.git",
            "https://git.acme.example/scm/%7Eada/x.git",
            "ssh://git@git.acme.example:7999/~ADA/x.git",
        ],
    )
    def test_personal_repositories_are_their_users(self, url):
        assert KIND.normalise(url) == "~ada/x"

    def test_the_request_id_is_the_key(self):
        assert self.open().authenticate(self.deliver()).key == "13edb3d3-7c8f-4f6a-9b8e-7b3f0f0f7a11"

    def test_githubs_newer_header_seals_nothing_here(self):
        """The same sum under another name."""
        good = self.deliver()
        renamed = tuple(("x-hub-signature-256" if name == "x-hub-signature" else name, v) for name, v in good.headers)
        self.refuses(self.open(), msgspec.structs.replace(good, headers=renamed))

    def test_a_sum_without_its_scheme_or_with_another_is_refused(self):
        """What stands before the sum says how it was made."""
        good = self.deliver()
        value = good.header("x-hub-signature").removeprefix("sha256=")
        for spoilt in (value, f"sha1={value}", f"SHA256={value}", f"sha256={value.upper()}"):
            headers = tuple((name, spoilt if name == "x-hub-signature" else v) for name, v in good.headers)
            self.refuses(self.open(), msgspec.structs.replace(good, headers=headers))

    def test_the_button_that_tests_is_sealed_like_everything(self):
        """Some versions send it unsigned: that is refused, and nothing but the button is red."""
        body = b'{"test": true}'
        signed = self.deliver(body)
        assert self.open().authenticate(signed).secret == 0
        self.refuses(self.open(), self.deliver(body, headers=[("x-event-key", "diagnostics:ping")]))

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same unsigned request is accepted."""
        unsigned = self.deliver(headers=[("x-event-key", "repo:refs_changed")])
        self.refuses(self.open(), unsigned)
        open_door = {"base_url": SITE, "accept_unsigned": ACCEPT_UNSIGNED}
        assert self.open(open_door).authenticate(unsigned) == api.Seal()

    @pytest.mark.parametrize("url", [None, "http://git.acme.example", "https://u:p@git.acme.example", "https://g?x=1"])
    def test_base_urls_that_are_refused(self, url):
        """There is no default: every server is somebody's own."""
        options = {**self.options, "base_url": url}
        if url is None:
            del options["base_url"]
        assert not jsonschema.Draft202012Validator(self.kind.schema).is_valid(options)
        assert jsonschema.Draft202012Validator(self.kind.schema).is_valid(self.options)

    def test_a_payload_without_links_is_of_the_connections_host(self):
        """Offline there is a name that no server has."""
        (online,) = self.open().parse(self.deliver()).events
        (offline,) = KIND.read(self.deliver()).events
        assert str(online.repository) == "git.acme.example/ACME/web"
        assert str(offline.repository) == "bitbucket.invalid/ACME/web"
        assert online.url == f"{SITE}/projects/ACME/repos/web/commits/{'b2' * 20}"


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


def without_credential(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"]}


PASSWORD = api.Credential(
    type="user_password",
    fields={"username": api.Secret("ada"), "password": api.Secret("pa55word")},
    hosts=("127.0.0.1",),
)


@pytest.mark.parametrize(
    ("repository", "path"),
    [
        ("ACME/web", "acme/web"),
        ("acme/web.git", "acme/web"),
        ("~ada/x", "~ada/x"),
        ("https://git.acme.example/projects/ACME/repos/web", "acme/web"),
    ],
)
async def test_git_clones_below_scm_with_the_token_beside_the_url(repository, path):
    async with calling(KIND, lambda url: options(url + "/bitbucket/")) as (provider, host):
        source = await provider.clone_source(repository)
        assert source.url == f"{host.url}/bitbucket/scm/{path}.git"
        assert source.username == "x-token-auth"
        assert source.credential == TOKEN
        assert not host.asked


async def test_a_clone_without_a_credential_and_of_nothing():
    async with calling(KIND, without_credential) as (provider, _):
        assert (await provider.clone_source("acme/web")).credential is None
        with pytest.raises(api.NotFound):
            await provider.clone_source("../etc")


@pytest.mark.parametrize(
    ("credential", "sent"), [(TOKEN, "Bearer t0ken-of-the-contract"), (PASSWORD, "Basic YWRhOnBhNTV3b3Jk")]
)
async def test_tokens_are_bearers_and_passwords_basic(credential, sent):
    async with calling(KIND, options, credential=credential) as (provider, host):
        host.on("GET", "/rest/api/1.0/projects/acme/repos/web/commits", {"values": [{"id": "a1" * 20}]})
        await provider.ref("acme/web", "refs/heads/main")
        assert host.asked[0].headers["Authorization"] == sent


def server(*, rights=("REPO_READ", "REPO_WRITE"), headers=None):
    host = GitHost()
    version = {"version": "8.19.2", "buildNumber": "8019002", "displayName": "Bitbucket"}
    host.on("GET", "/rest/api/1.0/application-properties", Answer(body=version, headers=headers or {}))
    host.on(
        "GET",
        "/rest/api/1.0/repos",
        lambda asked: Answer(body={"values": [REPOSITORY] if asked.query["permission"] in rights else []}),
    )
    return host


async def test_the_test_says_who_and_which_rights():
    host = server(headers={"X-AUSERNAME": "ada%40acme.example"})
    async with calling(KIND, options, host=host) as (provider, _):
        report = await provider.test_connection()
    assert report == api.ConnectionReport(
        user="ada@acme.example", permissions=("REPO_READ", "REPO_WRITE"), message="Bitbucket 8.19.2"
    )
    assert {one.query["limit"] for one in host.asked[1:]} == {"1"}


async def test_the_test_asks_who_it_is_when_no_header_says_so():
    host = server(rights=())
    host.on("GET", "/plugins/servlet/applinks/whoami", Answer(body=b"ada"))
    async with calling(KIND, options, host=host) as (provider, _):
        report = await provider.test_connection()
    assert (report.user, report.permissions, report.missing) == ("ada", (), ("REPO_READ",))


async def test_the_test_without_a_credential_asks_nothing():
    async with calling(KIND, without_credential) as (provider, host):
        assert (await provider.test_connection()).missing == ("credential",)
        assert not host.asked


async def test_the_test_with_a_token_that_ended_is_refused():
    async with calling(KIND, options) as (provider, host):
        host.otherwise(Answer(401, {"errors": [{"message": "Authentication failed."}]}))
        with pytest.raises(api.Refused, match="Authentication failed"):
            await provider.test_connection()
