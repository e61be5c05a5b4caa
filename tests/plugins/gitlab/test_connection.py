"""GitLab's two seals, and what a connection does: the contract every provider keeps, and GitLab's own rules."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import msgspec
import pytest
from goldens import recording

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import NOW, ContractHost, ProviderContract
from headgate.api.testing.calls import TOKEN, Answer, calling
from headgate_plugins import gitlab

KIND = next(iter(gitlab.headgate_providers()))
PAYLOADS = sorted(Path(__file__).parent.joinpath("payloads").glob("*.json"))
PUSH = Path(__file__).parent.joinpath("payloads", "push--moved.json").read_bytes()
SHOWN = {
    "push--created": "created",
    "push--deleted": "deleted",
    "merge_request--open": "from_branch",
    "merge_request--fork": "from_fork",
}
KEY, OTHER_KEY = "9cebe914-4827-408f-b014-cfa23a47a35f", "0ddf0a25-4827-408f-b014-cfa23a47a360"
SAME = (
    "acme/backend/web",
    "Acme/Backend/Web",
    "/acme/backend/web/",
    "acme/backend/web.git",
    "https://gitlab.com/Acme/backend/Web",
    "https://gitlab.example.com:8443/acme/backend/web.git/",
    "https://oauth2:token@gitlab.com/acme/backend/web.git",
    "ssh://git@gitlab.com:2222/acme/backend/web.git",
    "git@gitlab.com:Acme/Backend/web.git",
)
NONE = (
    *ProviderContract.no_repository,
    "acme",
    "https://gitlab.com/acme",
    "acme/web/-/tree/main",
    "acme/web.atom",
    "acme/web.git.git",
    "a/./b",
    "/".join("abcdefghijklmnopqrstuvw"),
    "acme/we b",
    "acme//web",
)


class Rules(ProviderContract):
    """What both forms have in common."""

    kind = KIND
    body = PUSH
    repository = "acme/backend/web"
    polled = {"refs/heads/main": "b2" * 20}  # noqa: RUF012
    clones_from = "https://gitlab.com"
    same_repository = SAME
    no_repository = NONE
    mutants = 10_000

    def recordings(self):
        return {
            SHOWN.get(path.stem, path.stem): recording(
                path, {"x-gitlab-event": f"{path.stem.partition('--')[0].replace('_', ' ').title()} Hook"}
            )
            for path in PAYLOADS
        }

    def unknown(self):
        return b'{"object_kind": "teleport"}', {"x-gitlab-event": "Teleport Hook"}

    def test_only_one_kind_of_seal_is_configured(self):
        """Two would leave it open which of them counts."""
        both = {"signing_tokens": ["secret://s/a"], "webhook_secrets": ["secret://s/b"]}
        for options in (both, {**self.options, "accept_unsigned": ACCEPT_UNSIGNED}, {"accept_unsigned": "yes"}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(options, self.kind.schema)


def whsec(text):
    return "whsec_" + base64.b64encode(text.encode()).decode()


SIGNING_TOKENS = {
    "secret://contract/new": whsec("correct horse battery staple, 32"),
    "secret://contract/old": whsec("a signing token from last year.."),
}
SIGNED = {"signing_tokens": list(SIGNING_TOKENS)}


class TestSigned(Rules):
    signature_headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    secrets = SIGNING_TOKENS
    options = SIGNED

    def headers(self, body, secret, at, key=KEY):
        stamp = int(at.timestamp())
        return {
            "content-type": "application/json",
            "x-gitlab-event": "Push Hook",
            "idempotency-key": key,
            "webhook-id": key,
            "webhook-timestamp": str(stamp),
            "webhook-signature": api.standard_webhooks_signature(key, stamp, body, api.Secret(secret)),
        }

    def another(self):
        return PUSH, self.headers(PUSH, next(iter(self.secrets.values())), NOW, OTHER_KEY)

    def test_the_key_is_the_signed_id(self):
        """What nobody signed beside it does not count."""
        good = self.deliver()
        headers = tuple((name, "other" if name == "idempotency-key" else value) for name, value in good.headers)
        seal = self.open().authenticate(msgspec.structs.replace(good, headers=headers))
        assert seal.key == KEY

    def test_the_secret_token_alone_is_not_enough(self):
        """With its negative control: where secret tokens are configured, it is."""
        headers = [("x-gitlab-event", "Push Hook"), ("x-gitlab-token", "t0ken")]
        options = {"webhook_secrets": ["secret://contract/token"]}
        self.secrets = {**self.secrets, "secret://contract/token": "t0ken"}
        self.refuses(self.open(), self.deliver(headers=headers))
        assert self.open(options).authenticate(self.deliver(headers=headers)).key is None

    @pytest.mark.parametrize(
        ("seconds", "accepted"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
    )
    def test_a_signature_is_good_for_five_minutes(self, seconds, accepted):
        """Either way: clocks differ in both."""
        secret = next(iter(self.secrets.values()))
        delivery = self.deliver(headers=self.headers(PUSH, secret, NOW + timedelta(seconds=seconds)).items())
        if accepted:
            self.open().authenticate(delivery)
        else:
            self.refuses(self.open(), delivery)

    def test_a_token_that_is_not_base64_is_found_when_the_connection_opens(self):
        """Not with the first delivery."""
        self.secrets = dict.fromkeys(self.secrets, "whsec_no base64")
        with pytest.raises(api.CredentialError, match="not base64"):
            self.open()


class TestToken(Rules):
    signature_headers = ("x-gitlab-token",)
    covers_body = False

    def headers(self, body, secret, at):
        return {
            "content-type": "application/json",
            "x-gitlab-event": "Push Hook",
            "idempotency-key": KEY,
            "x-gitlab-event-uuid": "3a427872-00df-429c-9bc9-a9475de2efe4",
            "x-gitlab-token": secret,
        }

    def another(self):
        return PUSH, {"idempotency-key": OTHER_KEY}

    def without(self, *names):
        good = self.deliver()
        return msgspec.structs.replace(good, headers=tuple(pair for pair in good.headers if pair[0] not in names))

    def test_the_idempotency_key_is_the_key(self):
        """It is the same when GitLab tries again."""
        assert self.open().authenticate(self.deliver()).key == KEY

    def test_an_older_server_has_the_id_of_the_event_with_the_body(self):
        """Its ids are shared by all that one receiver sets off, so different bodies are different deliveries."""
        first = self.without("idempotency-key")
        other = msgspec.structs.replace(first, body=first.body + b"\n")
        key = self.open().authenticate(first).key
        assert key.startswith("3a427872-00df-429c-9bc9-a9475de2efe4:")
        assert key == self.open().authenticate(first).key
        assert key != self.open().authenticate(other).key
        assert self.open().authenticate(self.without("idempotency-key", "x-gitlab-event-uuid")).key is None

    @pytest.mark.parametrize("name", ["idempotency-key", "x-gitlab-event-uuid"])
    @pytest.mark.parametrize("key", ["x" * 129, "\udcff", "é"])
    def test_an_id_that_could_not_be_kept_is_refused(self, name, key):
        """It is not signed, so anybody who replays a request can choose it."""
        headers = (*self.without(name).headers, (name, key))
        self.refuses(self.open(), msgspec.structs.replace(self.deliver(), headers=headers))

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same request is accepted."""
        unsigned = self.deliver(headers=[("x-gitlab-event", "Push Hook")])
        self.refuses(self.open(), unsigned)
        assert self.open({"accept_unsigned": ACCEPT_UNSIGNED}).authenticate(unsigned) == api.Seal()


@pytest.mark.parametrize("key", ["signing_tokens", "webhook_secrets"])
async def test_an_empty_secret_is_no_secret(key):
    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret("")})})
    with pytest.raises(api.CredentialError, match="empty"):
        async with KIND.open({key: ["secret://s/h"]}, host):
            pass


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


async def test_a_clone_source_has_its_credential_beside_the_url():
    async with calling(KIND, lambda url: {**options(url), "base_url": f"{url}/gitlab/"}) as (provider, host):
        for spelling in ("Acme/Backend/Web", "Acme/Backend/Web.git"):
            source = await provider.clone_source(spelling)
            assert source.url == f"{host.url}/gitlab/Acme/Backend/Web.git"
            assert (source.username, source.credential) == ("oauth2", TOKEN)
        with pytest.raises(api.NotFound):
            await provider.clone_source("../etc")
        assert host.asked == []


async def test_a_connection_without_a_credential_clones_and_calls_without():
    def without(url):
        return {key: value for key, value in options(url).items() if key != "credential"}

    async with calling(KIND, without) as (provider, host):
        host.on("GET", "/api/v4/projects/acme%2Fweb", {"id": 7, "path_with_namespace": "acme/web"})
        assert (await provider.clone_source("acme/web")).credential is None
        assert (await provider.test_connection()).missing == ("credential",)
        await provider.repository("acme/web")
        assert "Authorization" not in host.asked[0].headers


async def test_the_connection_reports_its_user_scopes_and_end():
    async with calling(KIND, options) as (provider, host):
        host.on("GET", "/api/v4/user", {"id": 1, "username": "ada"})
        token = {"id": 1, "name": "ci", "active": True, "scopes": ["read_api", "api"], "expires_at": "2026-07-01"}
        host.on(
            "GET", "/api/v4/personal_access_tokens/self", token, {**token, "scopes": ["read_api"], "expires_at": None}
        )
        report = await provider.test_connection()
        assert report == api.ConnectionReport(
            user="ada",
            scopes=("api", "read_api"),
            expires_at=datetime(2026, 7, 1, tzinfo=UTC),
            message="the token expires 2026-07-01",
        )
        assert (await provider.test_connection()).missing == ("api",)
        assert {one.headers["Authorization"] for one in host.asked} == {"Bearer t0ken-of-the-contract"}


@pytest.mark.parametrize("status", [401, 404])
async def test_what_the_server_does_not_tell_of_a_token_is_not_missing(status):
    async with calling(KIND, options) as (provider, host):
        host.on("GET", "/api/v4/user", {"username": "ada"})
        host.on("GET", "/api/v4/personal_access_tokens/self", Answer(status, {"message": "no"}))
        report = await provider.test_connection()
        assert (report.user, report.scopes, report.missing) == ("ada", (), ())


async def test_a_token_that_is_not_accepted_is_refused():
    async with calling(KIND, options) as (provider, host):
        host.otherwise(Answer(401, {"message": "401 Unauthorized"}))
        with pytest.raises(api.Refused, match="401 Unauthorized"):
            await provider.test_connection()


async def test_an_applications_tokens_are_renewed_below_the_base_url():
    fields = {name: api.Secret(f"{name} 1") for name in ("client_id", "client_secret", "refresh_token")}
    oauth = api.Credential(type="oauth", fields=fields, hosts=("127.0.0.1",))
    below = lambda url: {**options(url), "base_url": f"{url}/gitlab"}  # noqa: E731 - one word more than a name
    async with calling(KIND, below, credential=oauth) as (provider, host):
        granted = {"access_token": "acc-1", "token_type": "Bearer", "expires_in": 7200, "refresh_token": "second"}
        host.on("POST", "/gitlab/oauth/token", granted)
        host.on("GET", "/gitlab/api/v4/user", {"username": "ada"})
        assert (await provider.test_connection()).user == "ada"
        assert host.paths()[0] == "POST /gitlab/oauth/token"
        assert b"refresh_token=refresh_token+1" in host.asked[0].body
        assert host.asked[-1].headers["Authorization"] == "Bearer acc-1"
        source = await provider.clone_source("acme/web")
        assert (source.username, source.credential.text().reveal()) == ("oauth2", "acc-1")
        assert [path for path in host.paths() if path.startswith("POST")] == ["POST /gitlab/oauth/token"]


async def test_a_deploy_token_clones_and_is_not_tried_on_the_api():
    fields = {"username": api.Secret("gitlab+deploy-token-1"), "password": api.Secret("pass")}
    deploy = api.Credential(type="user_password", fields=fields, hosts=("127.0.0.1",))
    async with calling(KIND, options, credential=deploy) as (provider, host):
        assert (await provider.test_connection()).missing == ("token",)
        assert (await provider.clone_source("acme/web")).credential == deploy
        assert host.asked == []


def test_every_capability_of_the_host_is_there():
    missing = {name for name, protocol in api.CAPABILITIES.items() if not issubclass(KIND.provides, protocol)}
    assert missing == {"checks", "sender_addresses", "stream"}
