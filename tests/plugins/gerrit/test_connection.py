"""Gerrit's token and keys: the contract every provider keeps, and Gerrit's own rules."""

from __future__ import annotations

import json
import random
from pathlib import Path

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api import ACCEPT_UNSIGNED
from headgate.api.testing import NOW, ProviderContract, mutated
from headgate_plugins import gerrit

KIND = next(iter(gerrit.headgate_providers()))
SHA = "a1" * 20
BASE = {"base_url": "https://review.acme.example/r"}
CREATED = {
    "type": "patchset-created",
    "change": {
        "project": "acme/web",
        "branch": "main",
        "number": 1234,
        "subject": "Add a thing",
        "owner": {"username": "ada"},
        "url": "https://review.acme.example/r/c/acme/web/+/1234",
        "status": "NEW",
    },
    "patchSet": {"number": 1, "revision": SHA, "ref": "refs/changes/34/1234/1"},
    "uploader": {"username": "ada"},
    "eventCreatedOn": 1767614400,
}
BODY = json.dumps(CREATED).encode()


class TestContract(ProviderContract):
    kind = KIND
    body = BODY
    mutants = 10_000
    signature_headers = ("x-headgate-token",)
    covers_body = False
    token_argument = "token"
    repository = "acme/web.git"
    polled = {"refs/changes/34/1234/1": SHA}  # noqa: RUF012
    goldens = Path(__file__).with_name("goldens")
    no_such = {"from_fork": "changes are pushed to refs/for/ of the repository itself"}  # noqa: RUF012
    options = {**BASE, **ProviderContract.options}  # noqa: RUF012
    same_repository = (
        "acme/web",
        "/acme/web/",
        "acme/web.git",
        "https://review.acme.example/acme/web",
        "https://review.acme.example/a/acme/web.git",
        "ssh://ada@review.acme.example:29418/acme/web",
        "review.acme.example:acme/web",
    )
    no_repository = (
        *ProviderContract.no_repository,
        "acme//web",
        "acme/./web",
        "acme/web~1",
        "acme/+/web",
        "acme/w?b",
        "acme\\web",
        "a/.git",
    )

    def headers(self, body, secret, at):
        return {"content-type": "application/json", "x-headgate-token": secret}

    def unknown(self):
        return b'{"type": "change-baptised"}', {}

    def test_letter_case_and_depth_count(self):
        """A project is a path of any depth, on file systems that tell letter case apart."""
        assert KIND.normalise("platform/build/Soong") == "platform/build/Soong"
        assert KIND.normalise("All-Projects") != KIND.normalise("all-projects")

    def in_url(self, token, **changes):
        """A delivery whose token stands in the URL, as Gerrit sends it."""
        bare = self.deliver(headers=[("content-type", "application/json; charset=utf-8")])
        return msgspec.structs.replace(bare, query=(("token", token),), **changes)

    def test_a_token_in_the_url_is_the_usual_proof(self):
        """The webhooks plugin can set no header."""
        provider = self.open()
        for index, secret in enumerate(self.secrets.values()):
            assert provider.authenticate(self.in_url(secret)).secret == index

    def test_any_other_token_in_the_url_is_refused(self):
        """Every change of it, and none at all."""
        provider, dice = self.open(), random.Random(20260107)
        good = next(iter(self.secrets.values()))
        for _ in range(self.mutants):
            token = mutated(good.encode(), dice).decode("utf-8", "surrogateescape")
            if token != good:
                self.refuses(provider, self.in_url(token))
        bare = self.in_url(good)
        for query in ((), (("token", ""),), (("token", good), ("token", good)), (("Token", good),), (("key", good),)):
            self.refuses(provider, msgspec.structs.replace(bare, query=query))

    def test_a_token_in_both_places_is_refused(self):
        """Somebody added one."""
        good = next(iter(self.secrets.values()))
        both = msgspec.structs.replace(self.in_url(good), headers=(("x-headgate-token", good),))
        self.refuses(self.open(), both)

    def test_a_token_in_the_path_is_refused_and_not_repeated(self):
        """The path is kept with the delivery and stands in logs."""
        good = next(iter(self.secrets.values()))
        for query in ((), (("token", good),)):
            with pytest.raises(api.Unauthenticated) as caught:
                self.open().authenticate(self.in_url(good, hook=good) if query else self.deliver_to(good))
            assert good not in str(caught.value)

    def deliver_to(self, hook):
        """A delivery to a further hook, with a header that would do."""
        return msgspec.structs.replace(self.deliver(), hook=hook)

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same bare request is accepted."""
        bare = self.deliver(headers=[])
        self.refuses(self.open(), bare)
        self.open({**BASE, "accept_unsigned": ACCEPT_UNSIGNED}).authenticate(bare)

    def test_with_the_stream_alone_no_webhook_comes_in(self):
        """It needs no secret then, and accepts nothing."""
        options = {**BASE, "ssh": {"user": "ci", "credential": "secret://contract/ssh"}, "stream": True}
        jsonschema.validate(options, KIND.schema)
        provider = self.open(options)
        for delivery in (self.deliver(), self.deliver(headers=[]), self.in_url(""), self.in_url("x")):
            self.refuses(provider, delivery)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            BASE,
            {**BASE, "stream": False},
            {**BASE, "stream": True},
            {**BASE, "webhook_secrets": ["secret://s/h"], "clone": "ssh"},
            {**BASE, "webhook_secrets": ["secret://s/h"], "accept_unsigned": ACCEPT_UNSIGNED},
            {**BASE, "accept_unsigned": "yes"},
            {"base_url": "http://review.acme.example", "webhook_secrets": ["secret://s/h"]},
            {"base_url": "https://ada:pw@review.acme.example", "webhook_secrets": ["secret://s/h"]},
            {**BASE, "stream": True, "ssh": {"user": "-oProxyCommand=x", "credential": "secret://s/k"}},
            {**BASE, "stream": True, "ssh": {"user": "ci", "credential": "secret://s/k", "host": "-x"}},
            {**BASE, "webhook_secrets": ["secret://s/h"], "votes": {"won": {}}},
            {**BASE, "webhook_secrets": ["secret://s/h"], "votes": {"succeeded": {"Verified": "+1"}}},
        ],
    )
    def test_options_that_are_refused(self, options):
        """A door that is locked or said to be open, and no stream without a way to it."""
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(options, KIND.schema)


def key(**changes):
    payload = CREATED | changes
    body = json.dumps(payload, sort_keys=bool(changes.pop("sorted", False))).encode()
    return TestContract().open().authenticate(TestContract().in_url("a secret from last year", body=body)).key


def test_the_same_event_has_one_key_however_it_is_written():
    """The stream, the log of events and the webhooks plugin write the same JSON, in no order that is promised."""
    other = json.dumps(dict(reversed(CREATED.items())), indent=2).encode()
    delivery = TestContract().in_url("a secret from last year", body=other)
    assert TestContract().open().authenticate(delivery).key == key()


def test_a_patch_set_is_created_once_whatever_time_is_noted():
    """The list of changes does not know when the event was made."""
    assert key() == key(eventCreatedOn=1767614999) == key(eventCreatedOn=None)


MERGED = {"type": "change-merged"}
REF = {"project": "acme/web", "refName": "refs/heads/main", "oldRev": SHA, "newRev": "b2" * 20}
UPDATED = {"type": "ref-updated", "change": None, "patchSet": None, "refUpdate": REF}
COMMENTED = {"type": "comment-added", "comment": "Patch Set 1:\n\nwell", "author": {"username": "ada"}}


def test_different_events_have_different_keys():
    """Within one second, too: nothing that follows from one must be lost to another."""
    keys = [
        key(),
        key(patchSet=CREATED["patchSet"] | {"number": 2, "revision": "b2" * 20}),
        key(change=CREATED["change"] | {"number": 1235}),
        key(change=CREATED["change"] | {"project": "acme/api"}),
        key(**MERGED),
        key(**UPDATED),
        key(**UPDATED | {"refUpdate": REF | {"refName": "refs/heads/next"}}),
        key(**UPDATED | {"refUpdate": REF | {"oldRev": "b2" * 20, "newRev": SHA}}),
        key(**UPDATED, eventCreatedOn=1767614401),
        key(**COMMENTED),
        key(**COMMENTED | {"comment": "Patch Set 1:\n\nwell, well"}),
        key(**COMMENTED | {"author": {"username": "grace"}}),
        key(**COMMENTED, approvals=[{"type": "Code-Review", "value": "2"}]),
        key(**COMMENTED, eventCreatedOn=1767614401),
        key(type="hashtags-changed", added=["a"]),
        key(type="hashtags-changed", removed=["a"]),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"type": 1}', b'{"type": "ref-updated"}'])
def test_what_cannot_be_told_apart_has_no_key(body):
    """Better twice than never."""
    delivery = TestContract().in_url("a secret from last year", body=body)
    assert TestContract().open().authenticate(delivery) == api.Seal(secret=1)


async def test_an_empty_webhook_secret_is_no_secret():
    """It would open the door."""
    from headgate.api.testing import ContractHost

    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret("")})})
    with pytest.raises(api.CredentialError, match="empty"):
        async with KIND.open({**BASE, "webhook_secrets": ["secret://s/h"]}, host):
            pass


def test_the_clock_of_a_delivery_is_not_looked_at():
    """Parsing is pure: the same body means the same at any time."""
    delivery = TestContract().in_url("x")
    later = msgspec.structs.replace(delivery, received_at=NOW.replace(year=2030))
    assert KIND.read(delivery) == KIND.read(later)
