"""The contract of providers itself: a sound one passes, each broken promise fails its test, what is left out says so."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from headgate import api
from headgate.api.testing import NOW, ProviderContract
from headgate.api.testing.recordings import read_recordings

SECRETS = {"type": "array", "items": api.REFERENCE_SCHEMA, "minItems": 1}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["webhook_secrets"],
    "properties": {"webhook_secrets": SECRETS},
}
A, B = "a1" * 20, "b2" * 20
SITE = "https://git.example.org"


def body(**fields):
    told = {"repository": "acme/web", "ref": "refs/heads/main", "before": A, "after": B, "url": f"{SITE}/acme/web"}
    return json.dumps(told | fields).encode()


BODY = body()


class Payload(msgspec.Struct):
    repository: str
    ref: str
    after: str | None
    before: str | None = None
    source: str | None = None
    url: str | None = None


def normalise(text):
    path = text.strip("/").removesuffix(".git")
    if not path or path.startswith(("-", ".")) or "/.." in path or not path.isprintable() or path.strip("/ ") != path:
        raise ValueError("no repository")
    return path


def sha(text):
    return None if text is None else api.full_sha(text)


def read(delivery):
    if delivery.header("x-event") == "of-tomorrow":
        return api.Ignored(reason="not known yet")
    payload = api.read_json(delivery.body, Payload)
    try:
        return api.Parsed(events=(event_of(payload),))
    except ValueError as error:
        raise api.Unreadable(str(error)) from None


def event_of(payload):
    repository = api.Repository(host="git.example.org", path=normalise(payload.repository))
    if payload.source is not None:
        source = api.Repository(host="git.example.org", path=normalise(payload.source))
        return api.ChangeRequest(
            repository=repository,
            number=7,
            action="opened",
            title="t",
            source=api.ChangeSource(repository=source, branch="thing", sha=api.full_sha(payload.after or "")),
            target=api.ChangeTarget(branch="main"),
            author="ada",
            from_fork=source != repository,
        )
    before, after = sha(payload.before), sha(payload.after)
    if before is None and after is None:
        raise ValueError("it says nothing")
    named = {"repository": repository, "ref": payload.ref, "before": before, "after": after, "url": payload.url}
    if payload.ref.startswith("refs/tags/"):
        return api.Tag(tag=payload.ref.removeprefix("refs/tags/"), **named)
    if not payload.ref.startswith("refs/heads/"):
        raise ValueError("no branch")
    return api.Push(**named)


class Sound:
    def __init__(self, secrets):
        self.secrets = secrets

    def authenticate(self, delivery):
        secret = api.check_hmac_sha256(delivery.body, delivery.header("x-seal"), self.secrets)
        return api.Seal(key=api.delivery_key(delivery, "x-id"), secret=secret)

    def parse(self, delivery):
        return read(delivery)

    async def clone_source(self, repository):
        return api.CloneSource(url=f"{SITE}/{repository}.git")


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
    repository = "acme/web.git"
    polled = {"refs/heads/main": B}  # noqa: RUF012 - only read
    goldens = Path(__file__).with_name("deliveries")
    clones_from = SITE
    mutants = 300

    def headers(self, body, secret, at):
        return {"x-event": "push", "x-id": "1", "x-seal": api.hmac_sha256_hex(body, api.Secret(secret))}

    def created(self):
        return body(ref="refs/heads/new", before=None), {}

    def deleted(self):
        return body(ref="refs/heads/gone", after=None), {}

    def from_branch(self):
        return body(source="acme/web"), {}

    def from_fork(self):
        return body(source="ada/web"), {}

    def another(self):
        return BODY, {"x-id": "2"}


class TestSound(SampleContract):
    kind = kind_of(Sound)


def failing(contract):
    """The names of the contract's tests that fail."""
    failed = set()
    for name in dir(contract):
        if not name.startswith("test_"):
            continue
        for given in ((0,), (1,)) if name == "test_accepts_each_active_secret" else ((),):
            try:
                getattr(contract, name)(*given)
            except pytest.skip.Exception:
                pass
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - however it fails
                failed.add(name)
    return failed


def of(provider, **changes):
    """The sample's contract, of another provider, or with other words about it."""
    return type("Changed", (SampleContract,), {"kind": kind_of(provider), **changes})()


def test_nothing_fails_of_a_sound_provider():
    assert failing(of(Sound)) == set()


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


class CaseBlind(Sound):
    """Takes a sum in capitals for the same."""

    def authenticate(self, delivery):
        given = (delivery.header("x-seal") or "").lower()
        return api.Seal(secret=api.check_hmac_sha256(delivery.body, given, self.secrets))


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
        (OneSecret, "test_accepts_each_active_secret"),
        (HalfSigned, "test_refuses_one_flipped_bit_of_the_body"),
        (FirstOfTwo, "test_refuses_a_spoilt_proof"),
        (CaseBlind, "test_refuses_one_flipped_bit_of_the_proof"),
        (Careless, "test_ignores_an_unknown_event_with_a_reason"),
        (Careless, "test_mutated_payloads_raise_only_the_declared_error"),
    ],
)
def test_each_fault_is_caught(provider, test):
    assert test in failing(of(provider))


# Each of these breaks one promise, and exactly the test of it fails.


class Sniffing(Sound):
    """Takes the seal of another provider for its own."""

    def authenticate(self, delivery):
        if delivery.header("x-gitea-signature"):
            return api.Seal(
                secret=api.check_hmac_sha256(delivery.body, delivery.header("x-gitea-signature"), self.secrets)
            )
        return super().authenticate(delivery)


class Asking(Sound):
    """Takes a token of the URL for a seal."""

    def authenticate(self, delivery):
        if delivery.argument("token"):
            return api.Seal(secret=api.check_token(delivery.argument("token"), self.secrets))
        return super().authenticate(delivery)


class HeaderBlind(Sound):
    """Needs what nobody promised to send."""

    def parse(self, delivery):
        {"push": 1, "of-tomorrow": 2}[delivery.header("x-event")]
        return read(delivery)


class Forgetful(Sound):
    """Its ids are ours, so a redelivery is something new."""

    def authenticate(self, delivery):
        seal = super().authenticate(delivery)
        return msgspec.structs.replace(seal, key=f"{seal.key} of {delivery.id}")


class Levelling(Sound):
    """To it all deliveries are one."""

    def authenticate(self, delivery):
        return msgspec.structs.replace(super().authenticate(delivery), key="always")


class Late(Sound):
    """Says something else when it is sent again."""

    def parse(self, delivery):
        reading = read(delivery)
        return reading if delivery.received_at == NOW else changed(reading, api.Push, actor="late")


class Calling(Sound):
    def parse(self, delivery):
        socket.socket().close()
        return read(delivery)


class Counting(Sound):
    """Says something else each time, of branches."""

    count = itertools.count()

    def parse(self, delivery):
        return changed(read(delivery), api.Push, actor=str(next(self.count)))


def changed(reading, kind, where=lambda event: True, **fields):
    """The reading, with other `fields` in its events of a kind."""
    if isinstance(reading, api.Ignored):
        return reading
    return api.Parsed(
        events=tuple(
            msgspec.structs.replace(event, **fields) if isinstance(event, kind) and where(event) else event
            for event in reading.events
        )
    )


def telling(kind, where=lambda event: True, **fields):
    """A provider that tells its events of a kind with other `fields`."""

    class Telling(Sound):
        def parse(self, delivery):
            return changed(read(delivery), kind, where, **fields)

    return Telling


def is_new(event):
    return event.before is None


def is_gone(event):
    return event.after is None


def is_main(event):
    return event.ref == "refs/heads/main"


class Offline(Sound):
    """Reads with a connection what it ignores without."""

    def parse(self, delivery):
        reading = read(delivery)
        return api.Parsed(events=(*reading.events, api.Ping())) if b"gone" in delivery.body else reading


class TypeBlind(Sound):
    """Believes that what it needs not is text."""

    def parse(self, delivery):
        found = read(delivery)
        json.loads(delivery.body).get("note", "").strip()
        return found


class Fetching(Sound):
    """Looks, a little later, at what the payload names."""

    def parse(self, delivery):
        with contextlib.suppress(RuntimeError):
            self.task = asyncio.get_running_loop().create_task(self.fetch(json.loads(delivery.body)["url"]))
        return read(delivery)

    async def fetch(self, url):
        parts = urlsplit(url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.close()


class Believing(Sound):
    """Clones from where the payload says."""

    site = SITE

    def parse(self, delivery):
        reading = read(delivery)
        self.site = (json.loads(delivery.body).get("url") or SITE).removesuffix("/acme/web")
        return reading

    async def clone_source(self, repository):
        return api.CloneSource(url=f"{self.site}/{repository}.git")


NOTED = {"from_branch": lambda self: (body(source="acme/web", note="n"), {})}


@pytest.mark.parametrize(
    ("provider", "test", "changes"),
    [
        (Sniffing, "test_refuses_the_proofs_of_other_providers", {}),
        (Asking, "test_refuses_the_proofs_of_other_providers", {}),
        (HeaderBlind, "test_any_other_header_may_be_spoilt", {}),
        (Forgetful, "test_a_redelivery_has_the_same_key", {}),
        (Late, "test_a_redelivery_has_the_same_key", {}),
        (Levelling, "test_another_delivery_has_another_key", {}),
        (Offline, "test_reads_offline_what_the_connection_reads", {}),
        (telling(api.Tag, actor="eve"), "test_recorded_deliveries_give_their_golden_events", {}),
        (telling(api.ChangeRequest, labels=["ui"]), "test_results_survive_json", {}),
        (telling(api.Push, is_main, after="c3" * 20), "test_a_webhook_says_what_a_poll_would_find", {}),
        (
            telling(api.Push, is_main, repository=api.Repository(host="git.example.org", path="web")),
            "test_a_webhook_says_what_a_poll_would_find",
            {},
        ),
        (telling(api.Push, is_new, before=A), "test_marks_a_creation", {}),
        (telling(api.Push, is_gone, after=B), "test_marks_a_deletion", {}),
        (telling(api.ChangeRequest, from_fork=False), "test_marks_a_change_from_a_fork", {}),
        (telling(api.ChangeRequest, from_fork=True), "test_marks_no_other_change_as_from_a_fork", {}),
        (TypeBlind, "test_any_value_anywhere_raises_only_the_declared_error", NOTED),
        (Fetching, "test_no_url_of_a_payload_is_asked", {}),
        (Believing, "test_no_url_of_a_payload_is_asked", {}),
    ],
)
def test_one_broken_promise_fails_its_test_and_no_other(provider, test, changes):
    assert failing(of(provider, **changes)) == {test}


@pytest.mark.parametrize(
    ("provider", "tests"),
    [
        (Calling, {"test_reads_its_own_delivery", "test_no_url_of_a_payload_is_asked"}),
        (Counting, {"test_reads_its_own_delivery", "test_a_redelivery_has_the_same_key"}),
        (
            telling(api.Push, is_gone, ref="gone"),
            {"test_names_are_full_and_normalised", "test_any_value_anywhere_raises_only_the_declared_error"},
        ),
        (
            telling(api.Push, is_gone, before="a1" * 10),
            {"test_names_are_full_and_normalised", "test_any_value_anywhere_raises_only_the_declared_error"},
        ),
    ],
)
def test_some_broken_promises_fail_two(provider, tests):
    """A call of the network is seen by two, what is never the same twice by what reads twice, half names by the mutants."""
    assert failing(of(provider)) == tests


LAX = {**SCHEMA, "additionalProperties": True}
OPEN = {**SCHEMA, "required": []}


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ({"schema": LAX}, "test_schema_takes_the_options_and_refuses_an_unknown_key"),
        ({"schema": OPEN}, "test_refuses_everything_without_a_secret"),
        ({"provides": TypeBlind}, "test_opens_what_it_says_it_provides"),
        ({"normalise": lambda text: normalise(text.replace("..", "up"))}, "test_normalises_repositories"),
        ({"normalise": lambda text: "/" * text.startswith("/") + normalise(text)}, "test_normalises_repositories"),
    ],
)
def test_a_kind_that_is_not_as_it_says_is_caught(broken, test):
    assert failing(of(Sound, kind=dataclasses.replace(kind_of(Sound), **broken))) == {test}


class Enveloped(Sound):
    """Its proof stands in the body: `proof` is the sum of the rest."""

    def authenticate(self, delivery):
        if delivery.header("x-seal") != "enveloped":
            raise api.Unauthenticated("no envelope")
        try:
            told = api.read_json(delivery.body, dict)
        except api.Unreadable as error:
            raise api.Unauthenticated(str(error)) from None
        given = self.proof(told)
        if not isinstance(given, str):
            raise api.Unauthenticated("the proof is no text")
        secret = api.check_hmac_sha256(summed(told), given, self.secrets)
        return api.Seal(key=api.delivery_key(delivery, "x-id"), secret=secret)

    def proof(self, told):
        return told.pop("proof", None)


class Generous(Enveloped):
    """A list with the proof in it will do."""

    def proof(self, told):
        given = told.pop("proof", None)
        return given[0] if isinstance(given, list) and given else given


def summed(told):
    return json.dumps(told, sort_keys=True).encode()


class EnvelopeContract(SampleContract):
    kind = kind_of(Enveloped)
    covers_meaning = True
    proof_fields = ("proof",)
    goldens = None

    def headers(self, body, secret, at):
        return {"x-event": "push", "x-id": "1", "x-seal": "enveloped"}

    def sealed(self, body, secret, at):
        try:
            told = json.loads(body)
            sent = json.dumps({**told, "proof": api.hmac_sha256_hex(summed(told), api.Secret(secret))}).encode()
        except (ValueError, TypeError):
            sent = body
        return sent, self.headers(sent, secret, at)

    def unknown(self):
        return BODY, {"x-event": "of-tomorrow"}

    def recordings(self):
        return read_recordings(SampleContract.goldens)


class TestEnveloped(EnvelopeContract):
    pass


def test_a_proof_in_the_body_is_spoilt_too():
    generous = type("Generous", (EnvelopeContract,), {"kind": kind_of(Generous)})()
    assert failing(generous) == {"test_refuses_a_spoilt_field_of_the_proof"}
    silent = type("Silent", (EnvelopeContract,), {"proof_fields": ()})()
    assert failing(silent) == {"test_refuses_a_spoilt_field_of_the_proof"}


def missing(name):
    """The sample's contract that no longer says what it said of `name`."""
    return of(Sound, **{name: getattr(ProviderContract, name)})


@pytest.mark.parametrize(
    ("name", "test", "words"),
    [
        ("created", "test_marks_a_creation", "created.json"),
        ("deleted", "test_marks_a_deletion", "deleted.json"),
        ("from_branch", "test_marks_no_other_change_as_from_a_fork", "from_branch.json"),
        ("from_fork", "test_marks_a_change_from_a_fork", "no_such"),
        ("another", "test_another_delivery_has_another_key", "another.json"),
        ("repository", "test_a_webhook_says_what_a_poll_would_find", "job file"),
        ("polled", "test_a_webhook_says_what_a_poll_would_find", "refs/heads/main"),
        ("clones_from", "test_no_url_of_a_payload_is_asked", "clones_from"),
    ],
)
def test_what_is_left_out_fails_and_says_what_to_write(name, test, words):
    contract = missing(name)
    assert failing(contract) == {test}
    with pytest.raises(pytest.fail.Exception, match=words):
        getattr(contract, test)()


def test_without_recordings_it_says_what_to_write():
    contract = missing("goldens")
    unknown = "test_ignores_an_unknown_event_with_a_reason"
    goldens = "test_recorded_deliveries_give_their_golden_events"
    assert failing(contract) == {unknown, goldens}
    for test, words in ((unknown, "unknown.json"), (goldens, "NAME.events.json")):
        with pytest.raises(pytest.fail.Exception, match=words):
            getattr(contract, test)()


REASONS = "test_what_there_is_not_has_a_reason"


@pytest.mark.parametrize(
    ("no_such", "fails"),
    [
        ({"from_fork": "there are no forks"}, {REASONS, "test_marks_a_change_from_a_fork"}),
        ({"deleted": "nothing is ever gone"}, {REASONS, "test_marks_a_deletion"}),
        ({"another": "it gives no ids"}, {REASONS, "test_another_delivery_has_another_key"}),
        ({"clones_from": "it"}, {REASONS}),
        ({"unknown": "it never changes"}, {REASONS}),
    ],
)
def test_what_is_said_not_to_be_must_not_be(no_such, fails):
    """A reason is needed, and what is recorded or shown contradicts it."""
    assert failing(of(Sound, no_such=no_such)) == fails


def test_what_there_is_not_passes_with_its_reason():
    class Poor(Sound):
        def authenticate(self, delivery):
            return msgspec.structs.replace(super().authenticate(delivery), key=None)

    names = ("created", "deleted", "from_branch", "from_fork", "another")
    changes = {name: getattr(ProviderContract, name) for name in names}
    assert failing(of(Poor, **changes, no_such=dict.fromkeys(names, "the host has none"))) == set()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.json": "{}", "a.txt": ""}, "one name"),
        ({"a.json": "{}", "b.events.json": "{}"}, "no body for"),
        ({"a.json": "{}", "b.headers.json": "{}"}, "no body for"),
    ],
)
def test_a_folder_of_recordings_has_nothing_over(tmp_path, files, words):
    for name, text in files.items():
        tmp_path.joinpath(name).write_text(text)
    with pytest.raises(AssertionError, match=words):
        read_recordings(tmp_path)


def test_a_recording_without_its_golden_shows_what_it_would_be(tmp_path):
    tmp_path.joinpath("tag.json").write_bytes(body(ref="refs/tags/v2"))
    with pytest.raises(AssertionError, match=r'tag\.events\.json is missing[\s\S]*"tag": "v2"'):
        of(Sound, goldens=tmp_path).test_recorded_deliveries_give_their_golden_events()


def test_every_test_of_the_contract_has_its_control():
    """Else nobody knows that it can fail."""
    text = Path(__file__).read_text()
    tests = {name for name in dir(ProviderContract) if name.startswith("test_")}
    assert len(tests) > 20
    assert not [name for name in tests if f'"{name}"' not in text]
