"""The seals of Gitea, Forgejo and Gogs, and what a connection does: the contract every provider keeps, and their own rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, quote_plus, urlencode

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import TOKEN, ContractHost, GitHost, ProviderContract, calling
from headgate_plugins import gitea

KINDS = {kind.name: kind for kind in gitea.headgate_providers()}
FORM = "application/x-www-form-urlencoded"
DELIVERY = "f6266f16-1bf3-46a5-9ea4-602e06ead473"
PUSH = json.dumps(
    {
        "ref": "refs/heads/main",
        "before": "a1" * 20,
        "after": "b2" * 20,
        "commits": [{"id": "b2" * 20, "message": "1 + 1 = 2 & 100 % sûr", "added": ["a b.txt"]}],
        "repository": {"full_name": "Acme/Web", "html_url": "https://git.acme.example/gitea/Acme/Web"},
        "sender": {"login": "ada"},
    },
    ensure_ascii=False,
).encode()


class ThreeKinds(ProviderContract):
    body = PUSH
    repository = "acme/web"
    polled: ClassVar = {"refs/heads/main": "b2" * 20}
    goldens = Path(__file__).with_name("goldens")
    mutants = 10_000
    options: ClassVar = {**ProviderContract.options, "base_url": "https://git.acme.example/gitea"}
    same_repository = (
        "acme/web",
        "Acme/Web",
        "/acme/web/",
        "acme/web.git",
        "https://git.acme.example/Acme/Web",
        "https://git.acme.example/acme/web.git/",
        "ssh://git@git.acme.example:2222/acme/web.git",
        "git@git.acme.example:Acme/web.git",
    )
    no_repository = (
        *ProviderContract.no_repository,
        "acme",
        "a/b/c",
        "https://git.acme.example/acme",
        "a/.git",
        "a/..",
        "a/-",
        "a/web.wiki.git",
        "a/web.git.git",
    )

    def name(self, word):
        return f"x-{self.kind.name}-{word}"

    def headers(self, body, secret, at):
        return {
            "content-type": "application/json",
            self.name("event"): "push",
            self.name("delivery"): DELIVERY,
            self.name("signature"): api.hmac_sha256_hex(body, api.Secret(secret)),
        }

    def recordings(self):
        """Those of Gitea, under the names of this one's headers."""
        return {
            name: one._replace(
                headers={header.replace("gitea", self.kind.name): value for header, value in one.headers.items()}
            )
            for name, one in super().recordings().items()
        }

    def unknown(self):
        return b'{"action": "created"}', {self.name("event"): "sponsorship_of_tomorrow"}

    def test_the_headers_of_the_others_are_never_looked_at(self):
        """Gitea sends those of Gogs and GitHub beside its own, Forgejo also Gitea's: all with a right sum."""
        digest = api.hmac_sha256_hex(PUSH, api.Secret("correct horse battery staple"))
        others = [f"x-{name}" for name in KINDS if name != self.kind.name]
        foreign = [("x-hub-signature-256", f"sha256={digest}"), ("x-hub-signature", f"sha256={digest}")]
        foreign += [(f"{other}-signature", digest) for other in others]
        foreign += [(f"{other}-event", "push") for other in others]
        provider = self.open()
        self.refuses(provider, self.deliver(headers=foreign))
        self.refuses(provider, self.deliver(headers=[("x-hub-signature-256", f"sha256={digest}")]))
        # The control: with its own beside them it is accepted, whatever theirs say.
        spoilt = [(name, "0" * 64) for name, _ in foreign]
        provider.authenticate(self.deliver(headers=[*spoilt, (self.name("signature"), digest)]))

    def test_a_prefix_belongs_to_github(self):
        good = self.deliver()
        headers = tuple(
            (name, f"sha256={value}" if name == self.name("signature") else value) for name, value in good.headers
        )
        self.refuses(self.open(), msgspec.structs.replace(good, headers=headers))

    def test_the_delivery_id_is_the_key(self):
        provider = self.open()
        assert provider.authenticate(self.deliver()).key == DELIVERY
        for key in ("x" * 129, "\udcff", "é"):
            headers = {**self.headers(PUSH, "correct horse battery staple", None), self.name("delivery"): key}
            self.refuses(provider, self.deliver(headers=headers.items()))

    # -- forms, which sign the value and not the body

    def form(self, body, *, signed=PUSH):
        """A delivery of a form with the seal of `signed`."""
        headers = {**self.headers(signed, "correct horse battery staple", None), "content-type": FORM}
        return self.deliver(body, headers=headers.items())

    def test_a_form_signs_the_value_of_its_field(self):
        provider = self.open()
        form = urlencode({"payload": PUSH.decode()}).encode()
        provider.authenticate(self.form(form))
        assert provider.parse(self.form(form)) == provider.parse(self.deliver())
        # The control: a sum over the form as it was sent is none.
        self.refuses(provider, self.form(form, signed=form))
        # And JSON under the name of a form, or a form under the name of JSON, is another content than was signed.
        self.refuses(provider, self.form(PUSH))
        as_json = [pair for pair in self.form(form).headers if pair[0] != "content-type"]
        self.refuses(provider, self.deliver(form, headers=[*as_json, ("content-type", "application/json")]))

    def test_however_the_value_is_encoded_it_is_what_it_decodes_to(self):
        """`+` and `%20`, upper and lower case, more escapes than needed: one value; one bit of it changed: none."""
        provider = self.open()
        text = PUSH.decode()
        every = "".join(f"%{byte:02x}" for byte in PUSH)
        for value in (quote_plus(text), quote(text), quote(text, safe=""), every, every.upper()):
            provider.authenticate(self.form(f"payload={value}".encode()))
            self.refuses(provider, self.form(f"payload={value}%20".encode()))
        assert b"1 + 1" in PUSH
        self.refuses(provider, self.form(b"payload=" + quote(text, safe="+").encode()))  # a bare plus is a blank

    def test_a_value_that_is_no_utf_8_is_checked_byte_by_byte(self):
        provider = self.open()
        spoilt = PUSH[:-1] + b"\xff"
        form = self.form(b"payload=" + quote(spoilt).encode(), signed=spoilt)
        provider.authenticate(form)
        with pytest.raises(api.Unreadable):
            provider.parse(form)
        self.refuses(provider, self.form(b"payload=" + quote(PUSH[:-1] + b"\xfe").encode(), signed=spoilt))

    @pytest.mark.parametrize(
        "around",
        [
            "payload={0}&payload={0}",
            "payload={0}&%70ayload={0}",
            "Payload={0}",
            "{0}",
            "payload={0}%",
            "payload={0}%zz",
        ],
    )
    def test_a_form_without_exactly_one_payload_is_refused(self, around):
        """Doubled, also under an escaped name, another, none, half an escape."""
        value = quote(PUSH.decode())
        provider = self.open()
        provider.authenticate(self.form(f"payload={value}".encode()))
        self.refuses(provider, self.form(around.format(value).encode()))
        with pytest.raises(api.Unreadable):
            provider.parse(self.form(around.format(value).encode()))

    def test_other_fields_change_nothing_and_many_are_refused(self):
        provider = self.open()
        value = quote(PUSH.decode())
        provider.authenticate(self.form(f"a=1&payload={value}&b".encode()))
        self.refuses(provider, self.form(f"payload={value}{'&a=1' * 8}".encode()))

    # -- the door

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same unsigned request is accepted."""
        unsigned = self.deliver(headers=[(self.name("event"), "push")])
        self.refuses(self.open(), unsigned)
        open_door = {"base_url": "https://git.acme.example", "accept_unsigned": ACCEPT_UNSIGNED}
        assert self.open(open_door).authenticate(unsigned) == api.Seal()

    def test_a_base_url_is_needed_and_no_secret_travels_in_the_clear(self):
        validator = jsonschema.Draft202012Validator(self.kind.schema)
        assert not validator.is_valid(ProviderContract.options)
        assert not validator.is_valid({**self.options, "accept_unsigned": ACCEPT_UNSIGNED})
        accepted = {
            url: validator.is_valid({**self.options, "base_url": url})
            for url in (
                "https://git.acme.example",
                "https://git.acme.example:3000/git/tea",
                "http://localhost:3000",
                "http://git.acme.example",
                "https://ada:pass@git.acme.example",
                "https://git.acme.example?x=1",
            )
        }
        assert list(accepted.values()) == [True, True, True, False, False, False]


class TestGitea(ThreeKinds):
    kind = KINDS["gitea"]
    signature_headers = ("x-gitea-signature",)


class TestForgejo(ThreeKinds):
    kind = KINDS["forgejo"]
    signature_headers = ("x-forgejo-signature",)


class TestGogs(ThreeKinds):
    kind = KINDS["gogs"]
    signature_headers = ("x-gogs-signature",)


del ThreeKinds  # abstract: pytest need not collect it


def options(url):
    return {
        "base_url": f"{url}/tea/",
        "webhook_secrets": ["secret://contract/hook"],
        "credential": "secret://contract/api",
    }


PASSWORD = api.Credential(
    type="user_password", fields={"username": api.Secret("ada"), "password": api.Secret("pw")}, hosts=("127.0.0.1",)
)


@pytest.mark.parametrize("name", KINDS)
async def test_a_clone_source_has_its_credential_beside_the_url(name):
    async with calling(KINDS[name], options) as (provider, host):
        for spelling in ("Acme/Web", "Acme/Web.git", "/Acme/Web/"):
            source = await provider.clone_source(spelling)
            assert source.url == f"{host.url}/tea/Acme/Web.git"
            assert source.credential.text().reveal() == "t0ken-of-the-contract"
        with pytest.raises(api.NotFound):
            await provider.clone_source("../etc")
        assert host.asked == []


async def test_a_token_stands_for_the_user_of_gogs_too():
    """Older versions take it as the user's name only, newer ones as the password, too."""
    async with calling(KINDS["gogs"], options) as (provider, _):
        credential = (await provider.clone_source("acme/web")).credential
        assert (credential.type, credential.hosts) == ("user_password", TOKEN.hosts)
        assert {secret.reveal() for secret in credential.fields.values()} == {"t0ken-of-the-contract"}
    async with calling(KINDS["gogs"], options, credential=PASSWORD) as (provider, _):
        assert (await provider.clone_source("acme/web")).credential == PASSWORD


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("credential", "header"), [(TOKEN, "token t0ken-of-the-contract"), (PASSWORD, "Basic YWRhOnB3")]
)
async def test_the_test_asks_who_it_is(name, credential, header):
    async with calling(KINDS[name], options, credential=credential) as (provider, host):
        host.on("GET", "/tea/api/v1/user", {"id": 1, "login": "ada"})
        report = await provider.test_connection()
        assert (report.user, report.scopes, report.missing) == ("ada", (), ())
        assert host.asked[0].headers["Authorization"] == header


@pytest.mark.parametrize("name", KINDS)
async def test_a_connection_without_a_credential_says_what_is_missing(name):
    def without(url):
        return {key: value for key, value in options(url).items() if key != "credential"}

    async with calling(KINDS[name], without) as (provider, host):
        assert (await provider.test_connection()).missing == ("credential",)
        assert (await provider.clone_source("acme/web")).credential is None
        assert host.asked == []


OAUTH = api.Credential(
    type="oauth",
    fields={
        "client_id": api.Secret("app"),
        "client_secret": api.Secret("app-secret"),
        "refresh_token": api.Secret("refresh-1"),
    },
    hosts=("127.0.0.1",),
)


async def test_an_applications_tokens_are_renewed_below_the_base_url():
    async with calling(KINDS["forgejo"], options, credential=OAUTH, host=GitHost()) as (provider, host):
        granted = {"access_token": "acc-1", "token_type": "bearer", "expires_in": 3600, "refresh_token": "refresh-2"}
        host.on("POST", "/tea/login/oauth/access_token", granted)
        host.on("GET", "/tea/api/v1/user", {"login": "ada"})
        assert (await provider.test_connection()).user == "ada"
        assert host.paths() == ["POST /tea/login/oauth/access_token", "GET /tea/api/v1/user"]
        assert b"refresh_token=refresh-1" in host.asked[0].body
        assert host.asked[1].headers["Authorization"] == "token acc-1"
        assert (await provider.clone_source("acme/web")).credential.text().reveal() == "acc-1"


async def test_an_empty_webhook_secret_is_no_secret():
    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret("")})})
    with pytest.raises(api.CredentialError, match="empty"):
        async with KINDS["gitea"].open({"base_url": "https://g.example", "webhook_secrets": ["secret://s/h"]}, host):
            pass


def test_each_kind_provides_what_its_host_has():
    """Gogs has no refs, no comparison, no changes, no statuses; none has a history of deliveries."""
    has = {
        name: {word for word, protocol in api.CAPABILITIES.items() if issubclass(kind.provides, protocol)}
        for name, kind in KINDS.items()
    }
    assert has["gogs"] == {"clone", "discover", "files", "hooks", "issues", "test"}
    assert (
        has["gitea"]
        == has["forgejo"]
        == set(api.CAPABILITIES)
        - {
            "checks",
            "hook_deliveries",
            "redeliver",
            "sender_addresses",
            "stream",
        }
    )
