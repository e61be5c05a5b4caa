"""Who gets in: the part of a provider's contract about authentication; not what deliveries mean."""

from __future__ import annotations

import base64
import contextlib
import json
import random

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api.testing.kit import NOW, mutated, no_sockets
from headgate.api.testing.provider_sample import ProviderSample


class SealContract(ProviderSample):
    """A genuine delivery is taken; one that is spoilt in one place is refused with the declared error."""

    @pytest.mark.parametrize("secret", [0, 1])
    def test_accepts_each_active_secret(self, secret: int) -> None:
        """While secrets rotate, both are good, and the seal says which it was."""
        provider = self.open()
        with no_sockets():
            seal = provider.authenticate(self.deliver(secret=secret))
        assert seal.secret == secret

    def test_refuses_another_secret(self) -> None:
        """The negative control of the one above, one flipped bit of a right one included."""
        provider = self.open()
        near = [one for secret in self.secrets.values() for one in _nearly(secret)]
        for secret in ("", "correct horse battery stapld", "CORRECT HORSE BATTERY STAPLE", *near):
            body, headers = self.sealed(self.body, secret, NOW)
            self.refuses(provider, self.deliver(body, headers=headers.items()))

    def test_refuses_everything_without_a_secret(self) -> None:
        """No secret, no connection."""
        if self.closed_options is None:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({}, self.kind.schema)
            return
        self.refuses(self.open(self.closed_options), self.deliver())

    def test_refuses_one_flipped_bit_of_the_body(self) -> None:
        """Every bit counts."""
        if not self.covers_body:
            pytest.skip("this provider's proof does not cover the body")
        provider, good = self.open(), self.deliver()
        for at in range(0, len(good.body), max(1, len(good.body) // 64)):
            body = bytearray(good.body)
            body[at] ^= 1
            self.refuses_or_changes_nothing(provider, msgspec.structs.replace(good, body=bytes(body)), good)
        self.refuses_or_changes_nothing(provider, msgspec.structs.replace(good, body=good.body + b"\n"), good)

    def test_refuses_one_flipped_bit_of_the_proof(self) -> None:
        """Of every character the lowest bit, and the one that makes a small letter of a capital."""
        provider, good = self.open(), self.deliver()
        for name in self.signature_headers:
            value = good.header(name) or ""
            for at, character in enumerate(value):
                for bit in (1, 0x20):
                    flipped = value[:at] + chr(ord(character) ^ bit) + value[at + 1 :]
                    self.refuses(provider, self.with_header(good, name, flipped))

    def test_refuses_a_spoilt_proof(self) -> None:
        """Missing, empty, cut, longer, not ASCII, doubled: each header of the proof, each way."""
        provider, good = self.open(), self.deliver()
        assert self.signature_headers, "name the headers that prove a delivery in `signature_headers`"
        for name in self.signature_headers:
            value = good.header(name)
            assert value, f"{name} is no header of a genuine delivery"
            spoilt = (
                "",
                " ",
                value[:-1],
                value[1:],
                value + "0",
                value + "\u00e9",
                "\u0661" * len(value),
                "\udcff",
                "sha1=0",
                f"{value},{value}",
            )
            for other in spoilt:
                self.refuses(provider, self.with_header(good, name, other))
            for several in ((), (value, value), (value, "0"), ("0", value), ("", value)):
                self.refuses(provider, self.with_header(good, name, *several))

    def test_refuses_a_spoilt_field_of_the_proof(self) -> None:
        """The same of each key that proves a body from inside."""
        if not self.proof_fields:
            assert type(self).sealed is ProviderSample.sealed, "name the keys that prove a body in `proof_fields`"
            pytest.skip("this provider's proof stands in headers")
        provider, good = self.open(), self.deliver()
        sent = json.loads(good.body)
        for name in self.proof_fields:
            value = sent[name]
            others = {key: kept for key, kept in sent.items() if key != name}
            spoilt = ("", " ", value[:-1], value[1:], value + "0", value + "\u00e9", value + "\n", None, 7, [value])
            bodies = [json.dumps({**others, name: other}).encode() for other in spoilt]
            doubled = json.dumps(others)[:-1] + f', "{name}": {json.dumps(value)}, "{name}": {json.dumps(value)}}}'
            for body in (*bodies, json.dumps(others).encode(), doubled.encode()):
                self.refuses(provider, msgspec.structs.replace(good, body=body))

    def test_refuses_the_proofs_of_other_providers(self) -> None:
        """The provider comes from the URL, never from what a request calls itself: right sums of the right secret."""
        provider = self.open()
        text = next(iter(self.secrets.values()))
        good = self.deliver()
        own = [pair for pair in good.headers if pair[0] not in self.signature_headers]
        for body in {self.body, good.body}:
            for proof in _proofs(body, api.Secret(text)):
                if not proof.keys() & {*self.signature_headers}:
                    for beside in (own, []):
                        self.refuses(provider, self.deliver(body, headers=[*beside, *proof.items()]))
        for argument in ("token", "secret", "key", "access_token", "signature"):
            if argument != self.token_argument:
                bare = self.deliver(good.body, headers=own)
                self.refuses(provider, msgspec.structs.replace(bare, query=((argument, text),)))

    def test_refuses_mutated_requests(self) -> None:
        """Random changes of body and proof: none is accepted, none raises anything else."""
        provider, good = self.open(), self.deliver()
        dice = random.Random(20260105)  # noqa: S311 - repeatable on purpose
        targets = [*self.signature_headers, *(["body"] if self.covers_body else [])]
        for _ in range(self.mutants):
            target = dice.choice(targets)
            if target == "body":
                mutant = msgspec.structs.replace(good, body=mutated(good.body, dice))
            else:
                old = good.header(target) or ""
                value = mutated(old.encode(), dice).decode("utf-8", "surrogateescape")
                if old in value.split():
                    continue  # what was added around it says nothing, where several proofs may stand in a row
                headers = tuple((name, value if name == target else kept) for name, kept in good.headers)
                mutant = msgspec.structs.replace(good, headers=headers)
            if mutant != good and target == "body":
                self.refuses_or_changes_nothing(provider, mutant, good)
            elif mutant != good:
                self.refuses(provider, mutant)

    def test_any_other_header_may_be_spoilt(self) -> None:
        """What nobody signed may be anything: it is refused or read, and is no 5xx."""
        provider, good = self.open(), self.deliver()
        for name, value in good.headers:
            if name in self.signature_headers:
                continue
            for values in (
                (),
                ("",),
                (value, value),
                ("\u00e9",),
                ("\udcff",),
                ("\0",),
                ("x" * 70_000,),
                (value[:-1],),
            ):
                delivery = self.with_header(good, name, *values)
                with contextlib.suppress(*self.refusals):
                    provider.authenticate(delivery)
                try:
                    reading = provider.parse(delivery)
                except api.Unreadable:
                    continue
                msgspec.json.encode(reading)

    def test_a_redelivery_has_the_same_key(self) -> None:
        """Sent again a minute later it is the same delivery, and says the same."""
        provider = self.open()
        first, later = self.deliver(), self.deliver(at=NOW.replace(minute=NOW.minute + 1))
        again = msgspec.structs.replace(later, id="d_2", remote="192.0.2.1")
        seals = [provider.authenticate(one) for one in (first, first, again)]
        assert len({seal.key for seal in seals}) == 1, "the key of a delivery changed when it was sent again"
        assert provider.parse(first) == provider.parse(again)

    def test_another_delivery_has_another_key(self) -> None:
        """Else it would be taken for a redelivery, and be lost."""
        provider = self.open()
        key = provider.authenticate(self.deliver()).key
        if "another" in self.no_such:
            assert key is None, "no_such says that the host gives no ids"
            return
        body, changed = self.another()
        assert key, "a delivery has no key: say in no_such why the host gives no ids"
        other = provider.authenticate(self.deliver(body, changed=changed)).key
        assert other, "the other delivery has no key"
        assert other != key, "another delivery has the same key"


def _nearly(secret: str) -> list[str]:
    """The secret with the lowest bit of a letter or digit flipped, at its beginning, in the middle and near its end."""
    flipped = {at: chr(ord(character) ^ 1) for at, character in enumerate(secret) if character.isalnum()}
    places = [at for at, character in flipped.items() if character.isalnum() and character.isascii()]
    if secret.startswith("whsec_"):
        places = [at for at in places if len("whsec_") <= at < len(secret) - 4]  # the last digits may fill up only
    return [secret[:at] + flipped[at] + secret[at + 1 :] for at in {places[0], places[len(places) // 2], places[-1]}]


def _proofs(body: bytes, secret: api.Secret) -> list[dict[str, str]]:
    """How other hosts would prove the same body with the same secret."""
    text, digest, seconds = secret.reveal(), api.hmac_sha256_hex(body, secret), int(NOW.timestamp())
    signed = api.standard_webhooks_signature("msg_1", seconds, body, secret)
    basic = [base64.b64encode(f"{user}:{text}".encode()).decode() for user in ("", "headgate", "admin")]
    return [
        {"x-hub-signature-256": f"sha256={digest}"},
        {"x-hub-signature": f"sha256={digest}"},
        {"x-gitea-signature": digest},
        {"x-forgejo-signature": digest},
        {"x-gogs-signature": digest},
        {"x-gitlab-token": text},
        {"x-headgate-token": text},
        {"x-token": text},
        {"webhook-id": "msg_1", "webhook-timestamp": str(seconds), "webhook-signature": signed},
        {"authorization": f"Bearer {text}"},
        *({"authorization": f"Basic {one}"} for one in basic),
        {"x-amz-sns-message-type": "Notification"},
    ]
