"""The conformance kit itself: a sound plugin passes, and each contract test catches the fault it is there for."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket

import msgspec
import pytest

from headgate import api
from headgate.api.testing import (
    NOW,
    ConditionContract,
    CredentialStoreContract,
    NotifierContract,
    ProviderContract,
    TriggerContract,
    mutated,
    no_sockets,
    sample_events,
    sample_subject,
)
from headgate_plugins import commit_status, webhook_notifier

SECRETS = {"type": "array", "items": api.REFERENCE_SCHEMA, "minItems": 1}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["webhook_secrets"],
    "properties": {"webhook_secrets": SECRETS},
}
BODY = b'{"repository": "acme/web", "head": "%s"}' % (b"a1" * 20)


class Payload(msgspec.Struct):
    repository: str
    head: str


def normalise(text):
    path = text.strip("/").removesuffix(".git")
    if not path or path.startswith(("-", ".")) or "/.." in path or not path.isprintable():
        raise ValueError("no repository")
    return path


def read(delivery):
    if delivery.header("x-event") == "of-tomorrow":
        return api.Ignored(reason="not known yet")
    payload = api.read_json(delivery.body, Payload)
    try:
        normalise(payload.repository)
    except ValueError as error:
        raise api.Unreadable(str(error)) from None
    repository = api.Repository(host="git.example.org", path=payload.repository)
    return api.Parsed(events=(api.Push(repository=repository, ref="refs/heads/main", before=None, after=payload.head),))


class Sound:
    def __init__(self, secrets):
        self.secrets = secrets

    def authenticate(self, delivery):
        return api.Seal(secret=api.check_hmac_sha256(delivery.body, delivery.header("x-seal"), self.secrets))

    def parse(self, delivery):
        return read(delivery)


def kind_of(provider):
    @contextlib.asynccontextmanager
    async def opened(options, host):
        yield provider([(await host.secret(reference)).text() for reference in options["webhook_secrets"]])

    return api.ProviderKind(
        name="sample", summary="s", schema=SCHEMA, open=opened, provides=provider, normalise=normalise, read=read
    )


class SampleContract(ProviderContract):
    body = BODY
    signature_headers = ("x-seal",)
    mutants = 300

    def headers(self, body, secret, at):
        return {"x-event": "push", "x-seal": api.hmac_sha256_hex(body, api.Secret(secret))}

    def unknown(self):
        return BODY, {"x-event": "of-tomorrow"}


class TestSound(SampleContract):
    kind = kind_of(Sound)


class Trusting(Sound):
    def authenticate(self, delivery):
        return api.Seal()


class Sleepy(Sound):
    """Checks the signature only when there is one."""

    def authenticate(self, delivery):
        return super().authenticate(delivery) if delivery.header("x-seal") else api.Seal()


class Crashing(Sound):
    def authenticate(self, delivery):
        return super().authenticate(delivery) if delivery.header("x-seal") else {}["x-seal"]


class OneSecret(Sound):
    def __init__(self, secrets):
        super().__init__(secrets[:1])


class HalfSigned(Sound):
    """The first half of the body decides."""

    def authenticate(self, delivery):
        delivery.header("x-seal") or api.check_token(None, self.secrets)
        if delivery.header("x-seal") == api.hmac_sha256_hex(BODY, self.secrets[0]):
            return api.Seal() if delivery.body[:20] == BODY[:20] else api.check_token(None, self.secrets)
        return super().authenticate(delivery)


class FirstOfTwo(Sound):
    """Takes the first of two equal headers."""

    def authenticate(self, delivery):
        first = next((value for name, value in delivery.headers if name == "x-seal"), None)
        return api.Seal(secret=api.check_hmac_sha256(delivery.body, first, self.secrets))


class Sniffing(Sound):
    """Takes the seal of another provider for its own."""

    def authenticate(self, delivery):
        given = delivery.header("x-seal") or delivery.header("x-gitea-signature")
        return api.Seal(secret=api.check_hmac_sha256(delivery.body, given, self.secrets))


class Calling(Sound):
    def parse(self, delivery):
        socket.socket().close()
        return read(delivery)


class Counting(Sound):
    """Says something else each time."""

    count = itertools.count()

    def parse(self, delivery):
        (push,) = read(delivery).events
        return api.Parsed(events=(msgspec.structs.replace(push, actor=str(next(self.count))),))


class Careless(Sound):
    def parse(self, delivery):
        if delivery.header("x-event") == "of-tomorrow":
            raise api.Unreadable("what is this?")
        payload = msgspec.json.decode(delivery.body, type=Payload)
        return api.Parsed(events=(api.Ping(repository=api.Repository(host="h", path=payload.repository)),))


@pytest.mark.parametrize(
    ("provider", "test"),
    [
        (Trusting, "test_refuses_another_secret"),
        (Trusting, "test_refuses_mutated_requests"),
        (Sleepy, "test_refuses_a_spoilt_proof"),
        (Crashing, "test_refuses_a_spoilt_proof"),
        (HalfSigned, "test_refuses_one_flipped_bit_of_the_body"),
        (FirstOfTwo, "test_refuses_a_spoilt_proof"),
        (Sniffing, "test_refuses_the_headers_of_another_provider"),
        (Calling, "test_reads_its_own_delivery"),
        (Counting, "test_reads_its_own_delivery"),
        (Careless, "test_ignores_an_unknown_event_with_a_reason"),
        (Careless, "test_mutated_payloads_raise_only_the_declared_error"),
    ],
)
def test_each_fault_is_caught(provider, test):
    contract = SampleContract()
    contract.kind = kind_of(provider)
    with pytest.raises(
        (AssertionError, api.Unauthenticated, api.Unreadable, KeyError, ValueError, pytest.fail.Exception)
    ):
        getattr(contract, test)()


def test_a_provider_that_forgets_the_second_secret_is_caught():
    contract = SampleContract()
    contract.kind = kind_of(OneSecret)
    contract.test_accepts_each_active_secret(0)
    with pytest.raises(api.Unauthenticated):
        contract.test_accepts_each_active_secret(1)


# -- rules


class Mood:
    needs_paths = False
    said = itertools.count()

    def judge(self, subject):
        return api.Verdict(passed=True, rule="conditions.mood", reason=f"the {next(self.said)}th mood")

    match = judge


class Nameless(Mood):
    def judge(self, subject):
        return api.Verdict(passed=True, rule="elsewhere", reason="because")


class Speechless(Mood):
    def judge(self, subject):
        return api.Verdict(passed=True, rule="conditions.mood", reason="")


class Unstorable(Mood):
    def judge(self, subject):
        return api.Verdict(passed=True, rule="conditions.mood", reason="r", compared={"now": {1, 2}})


@pytest.mark.parametrize("rule", [Mood, Nameless, Speechless, Unstorable])
def test_a_rule_that_breaks_its_promises_is_caught(rule):
    contract = ConditionContract()
    contract.kind = api.ConditionKind(name="mood", summary="s", schema=api.EMPTY_SCHEMA, compile=lambda _: rule())
    contract.passing, contract.failing = (({}, sample_subject(sample_events()[0])),), ()
    with pytest.raises(AssertionError):
        contract.test_copes_with_every_event()


def test_a_lax_schema_is_caught():
    contract = TriggerContract()
    contract.kind = api.TriggerKind(name="lax", summary="s", schema={"type": "object"}, compile=lambda _: Mood())
    with pytest.raises((AssertionError, KeyError)):
        contract.test_schema_is_strict()


# -- stores and notifiers


class Drawer:
    """A store in memory that outlives its opening."""

    def __init__(self):
        self.kept = {}

    async def get(self, name):
        if name not in self.kept:
            raise api.CredentialError(f"there is no {name}")
        return self.kept[name]

    async def list(self):
        return [
            api.CredentialSummary(name=name, type=kept.type, hosts=kept.hosts, version=kept.version)
            for name, kept in sorted(self.kept.items())
        ]

    async def put(self, name, credential):
        version = self.kept[name].version + 1 if name in self.kept else 1
        self.kept[name] = msgspec.structs.replace(credential, version=version)
        return (await self.list())[[*sorted(self.kept)].index(name)]

    async def remove(self, name):
        await self.get(name)
        del self.kept[name]


class TestDrawer(CredentialStoreContract):
    drawer = Drawer()

    @contextlib.asynccontextmanager
    async def open_store(self, folder):
        yield self.drawer


class Forgetful(CredentialStoreContract):
    @contextlib.asynccontextmanager
    async def open_store(self, folder):
        yield Drawer()


def test_a_store_that_forgets_is_caught(tmp_path):
    with pytest.raises(api.CredentialError):
        Forgetful().test_keeps_replaces_and_forgets(tmp_path)


class TestCommitStatus(NotifierContract):
    kind = next(iter(commit_status.headgate_notifiers()))
    notifier = commit_status.CommitStatusNotifier


class TestWebhookNotifier(NotifierContract):
    kind = next(iter(webhook_notifier.headgate_notifiers()))
    options = {"url": "https://hooks.example.com/ci", "secret": "secret://s/hook", "on": ["failed"]}  # noqa: RUF012

    @staticmethod
    def notifier():
        return webhook_notifier.WebhookNotifier(None, None)


# -- tools


def test_a_mutant_is_not_what_it_was_made_of():
    dice = random.Random(1)
    mutants = [mutated(BODY, dice) for _ in range(500)]
    assert sum(mutant != BODY for mutant in mutants) > 480


def test_the_door_to_the_network_is_shut_and_opened_again():
    with no_sockets(), pytest.raises(AssertionError, match="connection"):
        socket.socket()
    socket.socket().close()
    assert NOW.tzinfo is not None
