"""What a provider's test says about it, and the tools its contract uses; not what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import msgspec
import pytest

from headgate import api
from headgate.api.testing.kit import NOW, ContractHost
from headgate.api.testing.recordings import Recording, read_recordings

Said: TypeAlias = tuple[bytes, Mapping[str, str]]
"""A body, and the headers in which its delivery differs from what `headers` gives."""

SHOWN: Final = {
    "created": "a branch or tag that is created",
    "deleted": "a branch or tag that is deleted",
    "from_branch": "a change request from a branch of the repository itself",
    "from_fork": "a change request from a fork",
    "another": "a delivery with another id of the sender",
}
"""What a test shows by a recording of this name or a method of it, or says that there is none."""

NO_SUCH: Final = {*SHOWN, "clones_from"}


class ProviderSample:
    """What a genuine delivery of a provider looks like. A subclass says so."""

    kind: ClassVar[api.ProviderKind]
    body: ClassVar[bytes]
    """The body of a delivery that is read as at least one event."""
    signature_headers: ClassVar[tuple[str, ...]]
    """The (lower-case) headers that prove a delivery, each of which must be there."""
    repository: ClassVar[str] = ""
    """The repository of `body`, as an admin writes it in a job file."""
    polled: ClassVar[Mapping[str, str] | None] = None
    """What `git ls-remote` tells after `body`, of the refs it speaks of: full ref -> full commit id."""
    goldens: ClassVar[Path | None] = None
    """A folder of recorded deliveries with what they must mean: see `headgate.api.testing.recordings`."""
    no_such: ClassVar[Mapping[str, str]] = {}
    """What the host has not, of `created`, `deleted`, `from_branch`, `from_fork`, `another` (it gives its deliveries no
    id) and `clones_from`, each with the reason. All others must be shown."""
    clones_from: ClassVar[str | None] = None
    """What every clone URL begins with; `None`: the `base_url` of the options."""
    covers_body: ClassVar[bool] = True
    """Whether the proof covers the body; a shared token does not."""
    covers_meaning: ClassVar[bool] = False
    """The proof stands in the body and covers its fields: a change of the body is refused, or changes nothing at all
    (neither the seal nor what is read)."""
    proof_fields: ClassVar[tuple[str, ...]] = ()
    """The keys of a JSON body that prove it, each of which must be there, where the proof stands in the body."""
    token_argument: ClassVar[str | None] = None
    """The argument of the URL that may carry the proof instead of a header, for hosts that can set none."""
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
    credentials: ClassVar[Mapping[str, api.Credential]] = {}
    """What else the options refer to."""
    closed_options: ClassVar[Mapping[str, Any] | None] = None
    """Options with no secret at all, where the schema allows them: nothing may come in."""

    def headers(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
        """All headers of a genuine delivery of `body`, sealed with `secret` at the time `at`."""
        raise NotImplementedError

    def sealed(self, body: bytes, secret: str, at: datetime) -> tuple[bytes, Mapping[str, str]]:
        """What is sent to say `body`: itself, and its headers; where the proof stands in the body, the body around it."""
        return body, self.headers(body, secret, at)

    def unknown(self) -> Said:
        """Body and changed headers of an event the provider may send and nobody knows."""
        return self.recorded("unknown", "an event of the host that nobody knows")

    def created(self) -> Said:
        """Body and changed headers of a delivery that creates a branch or tag."""
        return self.recorded("created")

    def deleted(self) -> Said:
        """Body and changed headers of a delivery that deletes a branch or tag."""
        return self.recorded("deleted")

    def from_branch(self) -> Said:
        """Body and changed headers of a change request from a branch of the repository itself."""
        return self.recorded("from_branch")

    def from_fork(self) -> Said:
        """Body and changed headers of a change request from a fork."""
        return self.recorded("from_fork")

    def another(self) -> Said:
        """Body and changed headers of a delivery that has another id of the sender than that of `body`."""
        return self.recorded("another")

    def recordings(self) -> Mapping[str, Recording]:
        """The recorded deliveries by their names."""
        return read_recordings(self.goldens) if self.goldens is not None else {}

    # -- the tools the tests use, and a subclass may

    def recorded(self, name: str, what: str | None = None) -> Said:
        """Body and headers of a recording; where there is none, the test fails and says what to write."""
        found = self.recordings().get(name)
        if found is not None:
            return found.body, found.headers
        ours = type(self).__name__
        pytest.fail(
            f"{ours} does not show {what or SHOWN[name]}: put {name}.json, {name}.headers.json and {name}.events.json"
            f" into the folder that {ours}.goldens names, or define {name}(self) -> (body, changed headers)"
            + (f', or say {ours}.no_such = {{"{name}": "why the host has none"}}' if name in SHOWN else "")
        )

    def told(self) -> dict[str, Said]:
        """Everything this test has of the provider, by name: `body`, what its methods show, the recordings."""
        shown = [name for name in SHOWN if getattr(type(self), name) is not getattr(ProviderSample, name)]
        return {
            "body": (self.body, {}),
            **{name: (one.body, one.headers) for name, one in self.recordings().items()},
            **{name: getattr(self, name)() for name in shown},
        }

    def referred(self) -> dict[str, api.Credential]:
        """What the options refer to."""
        texts = {
            reference: api.Credential(type="text", fields={"text": api.Secret(text)})
            for reference, text in self.secrets.items()
        }
        return {**texts, **self.credentials}

    def open(self, options: Mapping[str, Any] | None = None) -> api.Provider:
        """An opened connection, without a network."""
        host = ContractHost(self.referred())

        async def opened() -> api.Provider:
            async with self.kind.open(self.options if options is None else options, host) as provider:
                return provider

        return asyncio.run(opened())

    def deliver(
        self,
        body: bytes | None = None,
        *,
        secret: int = 0,
        headers: Iterable[tuple[str, str]] | None = None,
        changed: Mapping[str, str] | None = None,
        at: datetime = NOW,
    ) -> api.Delivery:
        """A delivery sealed with one of the secrets, or with other `headers`, some of which may be `changed` then."""
        body = self.body if body is None else body
        if headers is None:
            body, own = self.sealed(body, list(self.secrets.values())[secret], at)
            headers = own.items()
        named = {name.lower(): value for name, value in (changed or {}).items()}
        kept = ((name.lower(), value) for name, value in headers if name.lower() not in named)
        return api.Delivery(
            id="d_1",
            connection="contract",
            received_at=at,
            headers=(*kept, *named.items()),
            body=body,
        )

    def read(self, provider: api.Provider) -> Iterable[tuple[str, api.Reading]]:
        """What `provider` makes of everything that is told."""
        for name, (body, changed) in self.told().items():
            yield name, provider.parse(self.deliver(body, changed=changed))

    def events(self, said: Said | None = None) -> tuple[api.Event, ...]:
        """What a delivery says, by default that of `body`; it must say something."""
        body, changed = said or (self.body, {})
        reading = self.open().parse(self.deliver(body, changed=changed))
        assert isinstance(reading, api.Parsed), f"it is ignored: {reading.reason}"
        return reading.events

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

    def with_header(self, delivery: api.Delivery, name: str, *values: str) -> api.Delivery:
        """The delivery with these values, in their order, where the header `name` stood."""
        others = tuple(pair for pair in delivery.headers if pair[0] != name)
        return msgspec.structs.replace(delivery, headers=(*others, *((name, value) for value in values)))
