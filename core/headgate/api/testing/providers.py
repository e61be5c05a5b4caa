"""What every provider keeps, whatever it speaks; not what its events mean, which its goldens show."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api.testing.kit import NOW, ContractHost, check_event, check_schema, mutated, no_sockets


class ProviderContract:
    """What every provider keeps. A subclass says what a genuine delivery of it looks like."""

    kind: ClassVar[api.ProviderKind]
    body: ClassVar[bytes]
    """The body of a delivery that is read as at least one event."""
    signature_headers: ClassVar[tuple[str, ...]]
    """The (lower-case) headers that prove a delivery, each of which must be there."""
    covers_body: ClassVar[bool] = True
    """Whether the proof covers the body; a shared token does not."""
    covers_meaning: ClassVar[bool] = False
    """The proof stands in the body and covers its fields: a change of the body is refused, or changes nothing at all
    (neither the seal nor what is read)."""
    proof_fields: ClassVar[tuple[str, ...]] = ()
    """The keys of a JSON body that prove it, each of which must be there, where the proof stands in the body."""
    refusals: ClassVar[tuple[type[Exception], ...]] = (api.Unauthenticated,)
    """What spoilt deliveries may raise. `CannotCheckYet` only where a spoilt one may name another certificate."""
    same_repository: ClassVar[tuple[str, ...]] = ("acme/web", "acme/web.git", "/acme/web/")
    """Spellings of one repository."""
    no_repository: ClassVar[tuple[str, ...]] = ("", "/", "..", "acme/../web", "-acme/web", "acme/w\nb", "acme/w\0b")
    """What names none."""
    mutants: ClassVar[int] = 2000
    """How many spoilt deliveries are tried."""

    options: ClassVar[Mapping[str, Any]] = {"webhook_secrets": ["secret://contract/new", "secret://contract/old"]}
    secrets: ClassVar[Mapping[str, str]] = {
        "secret://contract/new": "correct horse battery staple",
        "secret://contract/old": "a secret from last year",
    }
    closed_options: ClassVar[Mapping[str, Any] | None] = None
    """Options with no secret at all, where the schema allows them: nothing may come in."""

    def headers(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
        """All headers of a genuine delivery of `body`, sealed with `secret` at the time `at`."""
        raise NotImplementedError

    def sealed(self, body: bytes, secret: str, at: datetime) -> tuple[bytes, Mapping[str, str]]:
        """What is sent to say `body`: itself, and its headers; where the proof stands in the body, the body around it."""
        return body, self.headers(body, secret, at)

    def unknown(self) -> tuple[bytes, Mapping[str, str]]:
        """Body and changed headers of an event the provider may send and nobody knows."""
        raise NotImplementedError

    # -- the tools the tests use, and a subclass may

    def open(self, options: Mapping[str, Any] | None = None) -> api.Provider:
        """An opened connection, without a network."""
        host = ContractHost(
            {
                reference: api.Credential(type="text", fields={"text": api.Secret(text)})
                for reference, text in self.secrets.items()
            }
        )

        async def opened() -> api.Provider:
            async with self.kind.open(self.options if options is None else options, host) as provider:
                return provider

        return asyncio.run(opened())

    def deliver(
        self, body: bytes | None = None, *, secret: int = 0, headers: Iterable[tuple[str, str]] | None = None
    ) -> api.Delivery:
        """A delivery sealed with one of the secrets, or with other `headers`."""
        body = self.body if body is None else body
        if headers is None:
            body, own = self.sealed(body, list(self.secrets.values())[secret], NOW)
            headers = own.items()
        return api.Delivery(
            id="d_1",
            connection="contract",
            received_at=NOW,
            headers=tuple((name.lower(), value) for name, value in headers),
            body=body,
        )

    def refuses(self, provider: api.Provider, delivery: api.Delivery) -> None:
        """`Unauthenticated` and nothing else, for anything else would be a 5xx."""
        with pytest.raises(self.refusals):
            provider.authenticate(delivery)

    def refuses_or_changes_nothing(self, provider: api.Provider, delivery: api.Delivery, good: api.Delivery) -> None:
        """Of another body: refused; where the proof covers the meaning only, it may else say the same in other bytes."""
        if not self.covers_meaning:
            self.refuses(provider, delivery)
            return
        try:
            seal = provider.authenticate(delivery)
        except self.refusals:
            return
        assert seal == provider.authenticate(good)
        assert provider.parse(delivery) == provider.parse(good)

    # -- what is shown

    def test_schema_takes_the_options_and_refuses_an_unknown_key(self) -> None:
        """A misspelt option must not be passed over."""
        check_schema(self.kind.schema)
        jsonschema.validate(self.options, self.kind.schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**self.options, "no_such_option": 1}, self.kind.schema)

    def test_opens_what_it_says_it_provides(self) -> None:
        """Tables of capabilities are made of `provides`."""
        provider = self.open()
        assert isinstance(provider, self.kind.provides)
        assert isinstance(provider, api.Provider)

    @pytest.mark.parametrize("secret", [0, 1])
    def test_accepts_each_active_secret(self, secret: int) -> None:
        """While secrets rotate, both are good, and the seal says which it was."""
        seal = self.open().authenticate(self.deliver(secret=secret))
        assert seal.secret == secret

    def test_refuses_another_secret(self) -> None:
        """The negative control of the one above."""
        provider = self.open()
        for secret in ("", "correct horse battery stapld", "CORRECT HORSE BATTERY STAPLE"):
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

    def test_refuses_a_spoilt_proof(self) -> None:
        """Missing, empty, cut, longer, not ASCII, doubled: each header of the proof, each way."""
        provider, good = self.open(), self.deliver()
        for name in self.signature_headers:
            value = good.header(name)
            assert value, f"{name} is no header of a genuine delivery"
            others = [pair for pair in good.headers if pair[0] != name]
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
            )
            for other in spoilt:
                self.refuses(provider, msgspec.structs.replace(good, headers=(*others, (name, other))))
            self.refuses(provider, msgspec.structs.replace(good, headers=tuple(others)))
            doubled = (*others, (name, value), (name, value))
            self.refuses(provider, msgspec.structs.replace(good, headers=doubled))

    def test_refuses_a_spoilt_field_of_the_proof(self) -> None:
        """The same of each key that proves a body from inside."""
        if not self.proof_fields:
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

    def test_refuses_the_headers_of_another_provider(self) -> None:
        """The provider comes from the URL, never from what a request calls itself."""
        provider = self.open()
        secret = api.Secret(next(iter(self.secrets.values())))
        digest = api.hmac_sha256_hex(self.body, secret)
        foreign = {
            "x-hub-signature-256": f"sha256={digest}",
            "x-hub-signature": f"sha256={digest}",
            "x-gitea-signature": digest,
            "x-gogs-signature": digest,
            "x-gitlab-token": secret.reveal(),
        }
        for name, value in foreign.items():
            if name not in self.signature_headers:
                self.refuses(provider, self.deliver(headers=[(name, value)]))

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

    def test_reads_its_own_delivery(self) -> None:
        """At least one event; the same every time, without a socket, and through JSON and back."""
        provider, delivery = self.open(), self.deliver()
        with no_sockets():
            reading = provider.parse(delivery)
            assert provider.parse(delivery) == reading
        assert isinstance(reading, api.Parsed)
        assert reading.events
        for event in reading.events:
            check_event(event, self.kind)

    def test_reads_offline_what_the_connection_reads(self) -> None:
        """`headgate parse` has no connection; only a host name may differ."""
        reading = self.kind.read(self.deliver())
        assert isinstance(reading, api.Parsed)
        online = self.open().parse(self.deliver())
        assert isinstance(online, api.Parsed)
        assert [api.event_type(event) for event in reading.events] == [api.event_type(event) for event in online.events]

    def test_ignores_an_unknown_event_with_a_reason(self) -> None:
        """A new event of the provider is no fault of anybody's."""
        body, changed = self.unknown()
        body, own = self.sealed(body, next(iter(self.secrets.values())), NOW)
        headers = {**own, **changed}
        reading = self.open().parse(self.deliver(body, headers=headers.items()))
        assert isinstance(reading, api.Ignored)
        assert reading.reason

    def test_mutated_payloads_raise_only_the_declared_error(self) -> None:
        """Whoever holds the secret can send anything, and gets no 5xx for it."""
        provider, good = self.open(), self.deliver()
        dice = random.Random(20260106)  # noqa: S311 - repeatable on purpose
        for _ in range(self.mutants // 4):
            try:
                reading = provider.parse(msgspec.structs.replace(good, body=mutated(good.body, dice)))
            except api.Unreadable:
                continue
            assert isinstance(reading, api.Parsed | api.Ignored)
            msgspec.json.encode(reading)
        for body in (b"", b"null", b"[]", b"{}", b"\xff", b"1" * 5000, b"[" * 100_000, b'{"a":1,"a":1}'):
            with pytest.raises(api.Unreadable):
                provider.parse(msgspec.structs.replace(good, body=body))

    def test_normalises_repositories(self) -> None:
        """One repository, one key; what names none says so."""
        assert len({self.kind.normalise(spelling) for spelling in self.same_repository}) == 1
        key = self.kind.normalise(self.same_repository[0])
        assert self.kind.normalise(key) == key
        for text in self.no_repository:
            with pytest.raises(ValueError, match=r"."):
                self.kind.normalise(text)
