"""Azure DevOps' seal, which is a password or a header, and the names of its repositories."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import azure_devops_payloads as azure
import jsonschema
import msgspec
import pytest
from azure_devops_payloads import EVENT_ID

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import ContractHost, ProviderContract
from headgate.web.webhooks import without_tokens
from headgate_plugins import azure_devops

KIND = next(iter(azure_devops.headgate_providers()))
BASE = {"base_url": "https://dev.azure.com/acme"}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TestBasic(ProviderContract):
    """A user and password, as the service hook's basic authentication sends them."""

    kind = KIND
    body = azure.body(azure.push())
    signature_headers = ("authorization",)
    repository = "shop floor/web shop"
    polled = {"refs/heads/main": azure.NEW}  # noqa: RUF012
    goldens = Path(__file__).with_name("goldens")
    covers_body = False
    mutants = 10_000
    options = BASE | {"webhook_secrets": ["secret://contract/new", "secret://contract/old"]}
    same_repository = (
        "acme/web",
        "Acme/Web",
        "/acme/web/",
        "acme/web.git",
        "acme/_git/web",
        "https://dev.azure.com/org/acme/_git/web",
        "https://org@dev.azure.com/org/acme/_git/web/",
        "https://org.visualstudio.com/acme/_git/web",
        "https://org.visualstudio.com/DefaultCollection/Acme/_git/web",
        "git@ssh.dev.azure.com:v3/org/acme/web",
        "ssh://git@ssh.dev.azure.com/v3/org/acme/web",
        "org@vs-ssh.visualstudio.com:v3/org/acme/web",
        "ssh://org@vs-ssh.visualstudio.com:22/acme/_ssh/web",
        "https://tfs.acme.example:8443/tfs/DefaultCollection/acme/_git/web",
        "ssh://tfs.acme.example:22/tfs/DefaultCollection/acme/_git/web",
    )
    no_repository = (
        *ProviderContract.no_repository,
        "acme",
        "a/b/c",
        "https://dev.azure.com/org",
        "https://dev.azure.com/org/acme",
        "https://dev.azure.com/org/acme/_git/web/pullrequest/1",
        "https://github.com/acme/web",
        "git@github.com:acme/web.git",
        "a/_git/b/_git/c",
        "a/.git",
        "_a/b",
        "a./b",
        " a/b",
        "a%20b/c",
        "a/b|c",
        "https://dev.azure.com/org/a%2Fb/_git/web",
        "https://dev.azure.com/org/acme/_git/%2e%2e",
    )

    def headers(self, body, secret, at):
        return {"content-type": "application/json", "authorization": basic("headgate", secret)}

    def unknown(self):
        return azure.body(azure.envelope("workitem.of.tomorrow", {})), {}

    def test_another_user_is_refused(self):
        """The name is part of what is compared."""
        secret = next(iter(self.secrets.values()))
        for user in ("", "admin", "Headgate"):
            self.refuses(self.open(), self.deliver(headers=[("authorization", basic(user, secret))]))
        named = self.open({**self.options, "webhook_user": "ci"})
        assert named.authenticate(self.deliver(headers=[("authorization", basic("ci", secret))])).secret == 0

    def test_a_header_is_not_looked_at_unless_it_was_configured(self):
        """Which of the two ways is used is never guessed from a request."""
        secret = next(iter(self.secrets.values()))
        for name in ("x-headgate-token", "x-token"):
            self.refuses(self.open(), self.deliver(headers=[(name, secret)]))

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same request is accepted."""
        unsigned = self.deliver(headers=[])
        self.refuses(self.open(), unsigned)
        opened = self.open({**BASE, "accept_unsigned": ACCEPT_UNSIGNED})
        assert opened.authenticate(unsigned) == api.Seal(key=EVENT_ID)


class TestHeader(TestBasic):
    """A secret in a header that the admin named."""

    signature_headers = ("x-headgate-token",)
    options = TestBasic.options | {"secret_header": "X-Headgate-Token"}

    def headers(self, body, secret, at):
        return {"content-type": "application/json", "x-headgate-token": secret}

    def test_another_user_is_refused(self):
        """There is none: a user and password say nothing here."""
        secret = next(iter(self.secrets.values()))
        self.refuses(self.open(), self.deliver(headers=[("authorization", basic("headgate", secret))]))

    def test_a_header_is_not_looked_at_unless_it_was_configured(self):
        """Only the one that was."""
        secret = next(iter(self.secrets.values()))
        self.refuses(self.open(), self.deliver(headers=[("x-other-token", secret)]))


def opened(secret="hook"):
    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret(secret)})})

    async def one():
        async with KIND.open(BASE | {"webhook_secrets": ["secret://s/h"]}, host) as provider:
            return provider

    return asyncio.run(one())


def sealed(body):
    return opened().authenticate(azure.delivery(body, [("authorization", basic("headgate", "hook"))]))


def test_the_events_id_is_the_key_and_the_samples_of_the_test_button_have_none():
    assert sealed(azure.push()).key == EVENT_ID
    assert sealed(azure.push() | {"id": EVENT_ID.upper()}).key == EVENT_ID
    for given in (None, "", "7", "0" * 36, "00000000-0000-0000-0000-000000000000", f"{EVENT_ID}\n", 7):
        assert sealed(azure.push() | {"id": given}).key is None
    for body in (b"", b"\xff", b"[1]", b"{", b'{"id":' * 100_000):
        assert sealed(body).key is None


def test_the_body_is_not_read_before_the_seal(monkeypatch):
    def fails(body):
        raise AssertionError(body)

    monkeypatch.setattr("headgate_plugins.azure_devops.connection.event_id", fails)
    provider = opened()
    with pytest.raises(api.Unauthenticated):
        provider.authenticate(azure.delivery(azure.push()))


@pytest.mark.parametrize("name", ["X-Headgate-Token", "X-Hook-Secret", "Azure-Hook-password", "X-Token"])
def test_a_secret_header_is_masked_in_what_is_kept(name):
    pattern = KIND.schema["properties"]["secret_header"]["pattern"]
    assert re.fullmatch(pattern, name)
    delivery = azure.delivery(azure.push(), [(name.lower(), "hook"), ("authorization", basic("headgate", "hook"))])
    kept = without_tokens(delivery)
    assert (kept.header(name), kept.header("authorization")) == ("***", "***")


@pytest.mark.parametrize("name", ["X-Headgate", "Authorization", "Token", "X-Token-Id", "X Token", "-Token"])
def test_a_header_that_would_be_kept_is_no_secret_header(name):
    options = {**TestBasic.options, "secret_header": name}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, KIND.schema)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_user": "ci", "secret_header": "X-Headgate-Token"},
        {"webhook_user": "a:b"},
        {"accept_unsigned": ACCEPT_UNSIGNED},
        {"base_url": "http://tfs.acme.example/tfs"},
        {"base_url": "https://ada:pass@dev.azure.com/acme"},
        {"authority": "http://login.acme.example"},
        {"api_version": "7.1-preview"},
    ],
)
def test_options_that_contradict_or_leak_are_refused(changes):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**TestBasic.options, **changes}, KIND.schema)


def test_the_base_url_names_the_organisation_and_has_no_default():
    with pytest.raises(jsonschema.ValidationError, match="base_url"):
        jsonschema.validate({"webhook_secrets": ["secret://s/h"]}, KIND.schema)


def test_an_empty_webhook_secret_is_no_secret():
    with pytest.raises(api.CredentialError, match="empty"):
        opened("")


@pytest.mark.parametrize(
    "text",
    [
        "Shop Floor/Web Shop",
        "https://dev.azure.com/acme/Shop%20Floor/_git/Web%20Shop",
        "git@ssh.dev.azure.com:v3/acme/Shop%20Floor/Web%20Shop",
    ],
)
def test_names_with_blanks_are_written_as_people_see_them(text):
    assert KIND.normalise(text) == "shop floor/web shop"


@pytest.mark.parametrize(
    "url",
    [
        "https://dev.azure.com/acme/_git/web",
        "https://dev.azure.com/acme/DefaultCollection/_git/web",
        "https://acme.visualstudio.com/_git/web",
        "https://acme.visualstudio.com/DefaultCollection/_git/web",
        "https://tfs.acme.example/tfs/DefaultCollection/_git/web",
    ],
)
def test_a_url_without_a_project_means_the_one_of_that_name(url):
    assert KIND.normalise(url) == "web/web"


def test_a_name_that_no_longer_decodes_stays_a_key():
    key = KIND.normalise("https://dev.azure.com/acme/100%25/_git/web")
    assert key == "100%/web"
    assert KIND.normalise(key) == key


def test_what_one_flip_would_change_is_compared_whole():
    """A user and password in another base64 alphabet or case of the scheme is another text."""
    provider = opened()
    header = basic("headgate", "hook")
    good = azure.delivery(azure.push(), [("authorization", header)])
    assert provider.authenticate(good).secret == 0
    for other in (header.lower(), header.rstrip("="), header.replace("Basic", "Bearer"), f" {header}"):
        headers = (("authorization", other),)
        if other != header:
            with pytest.raises(api.Unauthenticated):
                provider.authenticate(msgspec.structs.replace(good, headers=headers))
