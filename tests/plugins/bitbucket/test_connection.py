"""Bitbucket Cloud's seal, and how a connection is opened: the contract every provider keeps, and its own rules."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import ProviderContract
from headgate.api.testing.calls import calling
from headgate_plugins import bitbucket
from headgate_plugins.bitbucket.client import api_url

KIND = next(iter(bitbucket.headgate_providers()))
OLD, NEW = "a1" * 20, "b2" * 20
HOOK = "{6a7b8c9d-0000-1111-2222-333344445555}"
PUSH = json.dumps(
    {
        "push": {
            "changes": [
                {
                    "old": {"type": "branch", "name": "main", "target": {"hash": OLD}},
                    "new": {"type": "branch", "name": "main", "target": {"hash": NEW}},
                    "forced": False,
                    "truncated": False,
                    "commits": [{"hash": NEW, "message": "m", "author": {"raw": "Ada <ada@acme.example>"}}],
                }
            ]
        },
        "repository": {"full_name": "acme/web", "links": {"html": {"href": "https://bitbucket.org/acme/web"}}},
        "actor": {"nickname": "ada"},
    }
).encode()


class TestContract(ProviderContract):
    kind = KIND
    body = PUSH
    mutants = 10_000
    signature_headers = ("x-hub-signature",)
    repository = "Acme/Web"
    polled = {"refs/heads/main": NEW}  # noqa: RUF012
    goldens = Path(__file__).with_name("goldens")
    clones_from = "https://bitbucket.org"
    same_repository = (
        "acme/web",
        "Acme/Web",
        "/acme/web/",
        "acme/web.git",
        "https://bitbucket.org/acme/web",
        "https://ada@bitbucket.org/acme/web.git",
        "https://x-token-auth:secret@bitbucket.org/acme/web.git/",
        "ssh://git@bitbucket.org/acme/web.git",
        "ssh://git@altssh.bitbucket.org:443/acme/web.git",
        "git@bitbucket.org:Acme/web.git",
    )
    no_repository = (
        *ProviderContract.no_repository,
        "acme",
        "a/b/c",
        "https://bitbucket.org/acme",
        "https://bitbucket.org/acme/web/src/main",
        "a/.git",
        "a/..",
        "{11111111-2222-3333-4444-555555555555}/web",
    )

    def headers(self, body, secret, at):
        return {
            "content-type": "application/json",
            "user-agent": "Bitbucket-Webhooks/2.0",
            "x-event-key": "repo:push",
            "x-hook-uuid": HOOK.strip("{}"),
            "x-request-uuid": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-attempt-number": "1",
            "x-hub-signature": "sha256=" + api.hmac_sha256_hex(body, api.Secret(secret)),
        }

    def unknown(self):
        return b'{"actor": {}}', {"x-event-key": "repo:teleported"}

    def test_the_sha1_that_others_send_in_this_header_is_never_enough(self):
        """GitHub's X-Hub-Signature is SHA-1; here the same header is SHA-256."""
        good = self.deliver()
        others = tuple(pair for pair in good.headers if pair[0] != "x-hub-signature")
        right_sum = api.hmac_sha256_hex(self.body, api.Secret(next(iter(self.secrets.values()))))
        for value in ("sha1=7d38cdd689735b008b3c702edd92eea23791c5f6", f"sha1={right_sum}", right_sum):
            spoilt = (*others, ("x-hub-signature", value))
            self.refuses(self.open(), msgspec.structs.replace(good, headers=spoilt))

    def test_the_uuid_of_the_request_is_the_key(self):
        """A resend is the same request with another attempt number."""
        good = self.deliver()
        again = tuple((name, "2" if name == "x-attempt-number" else value) for name, value in good.headers)
        for delivery in (good, msgspec.structs.replace(good, headers=again)):
            assert self.open().authenticate(delivery).key == "72d3162e-cc78-11e3-81ab-4c9367dc0958"

    @pytest.mark.parametrize("key", ["x" * 129, "\udcff", "é"])
    def test_a_uuid_that_could_not_be_kept_is_refused(self, key):
        """It is not signed, so anybody who replays a request can choose it."""
        good = self.deliver()
        headers = tuple((name, key if name == "x-request-uuid" else value) for name, value in good.headers)
        self.refuses(self.open(), msgspec.structs.replace(good, headers=headers))

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same unsigned request is accepted."""
        unsigned = self.deliver(headers=[("x-event-key", "repo:push")])
        self.refuses(self.open(), unsigned)
        assert self.open({"accept_unsigned": ACCEPT_UNSIGNED}).authenticate(unsigned) == api.Seal()

    @pytest.mark.parametrize("spelling", [HOOK, HOOK.strip("{}"), HOOK.upper()])
    def test_only_the_named_hooks_when_there_are_names(self, spelling):
        """Beside the signature; the control is the connection without names, which takes both."""
        named = self.open({**self.options, "hook_uuids": [spelling]})
        assert named.authenticate(self.deliver()).secret == 0
        good = self.deliver()
        for other in (("x-hook-uuid", "6a7b8c9d-0000-1111-2222-333344445556"), ("x-hook-uuid", ""), ("x-other", "")):
            headers = (*(pair for pair in good.headers if pair[0] != "x-hook-uuid"), other)
            stranger = msgspec.structs.replace(good, headers=headers)
            self.refuses(named, stranger)
            assert self.open().authenticate(stranger).secret == 0

    def test_a_named_hook_is_no_seal(self):
        """The UUID is in every request and no secret."""
        named = self.open({**self.options, "hook_uuids": [HOOK]})
        self.refuses(named, self.deliver(headers=[("x-event-key", "repo:push"), ("x-hook-uuid", HOOK)]))

    def test_half_a_sentence_opens_no_door(self):
        """The schema takes the whole sentence only, and never beside secrets."""
        for options in (
            {"accept_unsigned": "yes"},
            {"accept_unsigned": True},
            {**self.options, "accept_unsigned": ACCEPT_UNSIGNED},
            {**self.options, "hook_uuids": []},
            {**self.options, "hook_uuids": ["no uuid"]},
        ):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(options, self.kind.schema)

    @pytest.mark.parametrize(
        ("url", "accepted"),
        [
            ("https://bitbucket.org", True),
            ("https://proxy.acme.example:8443/bitbucket", True),
            ("http://127.0.0.1:8000", True),
            ("http://proxy.acme.example", False),
            ("https://user:pass@bitbucket.org", False),
            ("file:///etc", False),
        ],
    )
    def test_base_urls(self, url, accepted):
        """A token must not travel in the clear, nor a password stand in the configuration."""
        validator = jsonschema.Draft202012Validator(self.kind.schema)
        assert validator.is_valid({**self.options, "base_url": url}) is accepted


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://bitbucket.org", "https://api.bitbucket.org/2.0"),
        ("https://bitbucket.org/", "https://api.bitbucket.org/2.0"),
        ("https://proxy.acme.example/bitbucket/", "https://proxy.acme.example/bitbucket/2.0"),
    ],
)
def test_where_the_api_is(base, expected):
    assert api_url(base.rstrip("/")) == expected


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


def login(username, hosts=("127.0.0.1",)):
    fields = {"username": api.Secret(username), "password": api.Secret("pa55")}
    return api.Credential(type="user_password", fields=fields, hosts=hosts)


async def test_an_access_token_clones_under_its_own_name():
    async with calling(KIND, options) as (provider, host):
        for spelling in ("Acme/Web", "acme/web.git", "git@bitbucket.org:acme/web.git"):
            source = await provider.clone_source(spelling)
            assert source.url == f"{host.url}/acme/web.git"
            assert (source.credential.type, source.username) == ("token", "x-token-auth")
        for spelling in ("../etc", "acme", "a/b/c"):
            with pytest.raises(api.NotFound):
                await provider.clone_source(spelling)


async def test_a_password_clones_under_the_users_name():
    async with calling(KIND, options, credential=login("ada")) as (provider, _):
        source = await provider.clone_source("acme/web")
    assert (source.credential.type, source.credential.fields["username"].reveal()) == ("user_password", "ada")


async def test_an_api_token_goes_with_an_address_to_the_api_and_with_a_fixed_name_to_git():
    """Git hosts take no e-mail address as a user name."""
    async with calling(KIND, options, credential=login("ada@acme.example")) as (provider, host):
        source = await provider.clone_source("acme/web")
        assert (source.credential.type, source.username) == ("token", "x-bitbucket-api-token-auth")
        assert source.credential.text().reveal() == "pa55"
        assert source.credential.hosts == ("127.0.0.1",)
        host.on("GET", "/2.0/user", {"nickname": "ada"})
        await provider.test_connection()
        assert host.asked[-1].headers["Authorization"] == "Basic YWRhQGFjbWUuZXhhbXBsZTpwYTU1"


async def test_a_connection_without_a_credential_clones_and_calls_without():
    def open_options(url):
        return {key: value for key, value in options(url).items() if key != "credential"}

    async with calling(KIND, open_options) as (provider, host):
        assert (await provider.clone_source("acme/web")).credential is None
        assert (await provider.test_connection()).missing == ("credential",)
        host.on("GET", "/2.0/repositories/acme/web", {"full_name": "acme/web"})
        await provider.repository("acme/web")
        assert "Authorization" not in host.asked[-1].headers
