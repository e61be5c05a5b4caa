"""What deliveries mean: the part of a provider's contract about parsing; not who gets in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable

import aiohttp
import msgspec
import pytest

from headgate import api
from headgate.api.testing.calls import CallingHost
from headgate.api.testing.hostile import settled, spoilt_values, trap
from headgate.api.testing.kit import check_json, check_names, mutated, no_sockets
from headgate.api.testing.provider_sample import NO_SUCH, ProviderSample, Said
from headgate.api.testing.recordings import as_golden


class MeaningContract(ProviderSample):
    """A delivery means the same at any time, in full names, and never more than it may."""

    def test_reads_its_own_delivery(self) -> None:
        """At least one event; the same every time, whatever was read between, and without a socket."""
        provider, other = self.open(), self.open()
        with no_sockets():
            first = dict(self.read(provider))
            assert first == dict(self.read(provider)) == dict(self.read(other))
        assert isinstance(first["body"], api.Parsed)
        assert first["body"].events

    def test_reads_offline_what_the_connection_reads(self) -> None:
        """`headgate parse` has no connection; only a host name may differ."""
        provider = self.open()
        for name, (body, changed) in self.told().items():
            delivery = self.deliver(body, changed=changed)
            assert _types(self.kind.read(delivery)) == _types(provider.parse(delivery)), name

    def test_recorded_deliveries_give_their_golden_events(self) -> None:
        """Each means what is written beside it."""
        recordings, ours = self.recordings(), type(self).__name__
        if not recordings:
            pytest.fail(
                f"{ours} has no recorded deliveries: put NAME.json (a body), NAME.headers.json (its headers) and"
                f" NAME.events.json (what it must mean) into a folder, and say {ours}.goldens = Path(...)"
            )
        provider = self.open()
        for name, recording in recordings.items():
            delivery = self.deliver(recording.body, changed=recording.headers)
            provider.authenticate(delivery)
            found = as_golden(provider.parse(delivery))
            shown = json.dumps(found, indent=2, ensure_ascii=False)
            assert recording.golden is not None, f"{name}.events.json is missing; if this is right, it is:\n{shown}"
            assert found == recording.golden, f"{name} means something else than its golden says:\n{shown}"
        assert any(recording.golden and "events" in recording.golden for recording in recordings.values())

    def test_results_survive_json(self) -> None:
        """They are stored, sent and shown as JSON."""
        for _, reading in self.read(self.open()):
            assert msgspec.json.decode(msgspec.json.encode(reading), type=type(reading)) == reading
            for event in reading.events if isinstance(reading, api.Parsed) else ():
                check_json(event)

    def test_names_are_full_and_normalised(self) -> None:
        """Full refs, full commit ids, repositories that have a key, forks that say so."""
        for _, reading in self.read(self.open()):
            for event in reading.events if isinstance(reading, api.Parsed) else ():
                check_names(event, self.kind)

    def test_a_webhook_says_what_a_poll_would_find(self) -> None:
        """The same repository, refs and heads: else one push would be two moves to the ledger, and two builds."""
        if not self.repository or self.polled is None:
            pytest.fail(
                f"{type(self).__name__} does not say what a poll would find after `body`: give `repository` as a job file"
                ' writes it, and polled = {"refs/heads/main": "<40 digits>"} ({} where a poll is all that `body` asks for)'
            )
        told = {}
        for event in self.events():
            repository = getattr(event, "repository", None)
            assert repository is not None, f"{api.event_type(event)} names no repository"
            assert self.kind.normalise(repository.path) == self.kind.normalise(self.repository)
            if isinstance(event, api.REF_EVENTS):
                told[event.ref] = event.after
            elif isinstance(event, api.ChangeRequest) and event.head_ref and event.source.sha:
                told[event.head_ref] = event.source.sha
        assert told == dict(self.polled)

    def test_marks_a_creation(self) -> None:
        """A ref that was not there has no `before`."""
        self._shows("created", self.created, _is_creation)

    def test_marks_a_deletion(self) -> None:
        """A ref that is gone has no `after`: nothing may be built of it."""
        self._shows("deleted", self.deleted, _is_deletion)

    def test_marks_a_change_from_a_fork(self) -> None:
        """A stranger's code must not be built like our own."""
        self._shows("from_fork", self.from_fork, self._is_from_fork)

    def test_marks_no_other_change_as_from_a_fork(self) -> None:
        """The control of the one above: not everything is a stranger's."""
        self._shows("from_branch", self.from_branch, self._is_from_branch)

    def _is_from_fork(self, event: api.Event) -> bool:
        return isinstance(event, api.ChangeRequest) and event.from_fork and not self._is_at_home(event)

    def _is_from_branch(self, event: api.Event) -> bool:
        return isinstance(event, api.ChangeRequest) and not event.from_fork and self._is_at_home(event)

    def _is_at_home(self, event: api.ChangeRequest) -> bool:
        source = event.source.repository
        return source is not None and self.kind.normalise(source.path) == self.kind.normalise(event.repository.path)

    def _shows(self, name: str, show: Callable[[], Said], fits: Callable[[api.Event], bool]) -> None:
        if name in self.no_such:
            for told, reading in self.read(self.open()):
                found = [event for event in getattr(reading, "events", ()) if fits(event)]
                assert not found, f"no_such says there is no {name}, and {told} is one"
            return
        for event in self.events(show()):
            if isinstance(event, (*api.REF_EVENTS, api.ChangeRequest)):
                assert fits(event), f"{name} is read as {event}"
        assert any(fits(event) for event in self.events(show())), f"{name} is none"

    def test_what_there_is_not_has_a_reason(self) -> None:
        """`no_such` is a decision: of a word the contract asks for, with a reason, and not of what is shown."""
        assert self.no_such.keys() <= NO_SUCH, f"the contract does not ask for {self.no_such.keys() - NO_SUCH}"
        assert not [name for name, reason in self.no_such.items() if len(reason.split()) <= 1], "give each a reason"
        assert not self.no_such.keys() & self.told().keys(), "it is shown and said not to be"

    def test_ignores_an_unknown_event_with_a_reason(self) -> None:
        """A new event of the provider is no fault of anybody's."""
        body, changed = self.unknown()
        reading = self.open().parse(self.deliver(body, changed=changed))
        assert isinstance(reading, api.Ignored)
        assert reading.reason

    def test_mutated_payloads_raise_only_the_declared_error(self) -> None:
        """Whoever holds the secret can send anything, and gets no 5xx for it."""
        provider, good = self.open(), self.deliver()
        dice = random.Random(20260106)  # noqa: S311 - repeatable on purpose
        for at in range(self.mutants // 4):
            body = dice.randbytes(dice.randrange(200)) if at % 4 == 0 else mutated(good.body, dice)
            try:
                reading = provider.parse(msgspec.structs.replace(good, body=body))
            except api.Unreadable:
                continue
            assert isinstance(reading, api.Parsed | api.Ignored)
            msgspec.json.encode(reading)
        for body in (b"", b"null", b"[]", b"{}", b"\xff", b"1" * 5000, b"[" * 100_000, b'{"a":1,"a":1}'):
            with pytest.raises(api.Unreadable):
                provider.parse(msgspec.structs.replace(good, body=body))

    def test_any_value_anywhere_raises_only_the_declared_error(self) -> None:
        """Another type, a hostile text or nothing, at any place of anything: unreadable, or an event as full as others."""
        provider = self.open()
        dice = random.Random(20260107)  # noqa: S311 - repeatable on purpose
        told = self.told()
        for body, changed in told.values():
            for spoilt in spoilt_values(body, dice, max(20, self.mutants // 4 // len(told))):
                delivery = self.deliver(spoilt, changed=changed)
                for parse in (provider.parse, self.kind.read):
                    try:
                        reading = parse(delivery)
                    except api.Unreadable:
                        continue
                    assert isinstance(reading, api.Parsed | api.Ignored)
                    msgspec.json.encode(reading)
                    for event in reading.events if isinstance(reading, api.Parsed) else ():
                        check_names(event, self.kind)

    def test_no_url_of_a_payload_is_asked(self) -> None:
        """Every URL leads to a server on loopback, which must not be asked; git is sent to the configured host only."""
        asyncio.run(self._walk_into_the_trap())

    async def _walk_into_the_trap(self) -> None:
        async with trap() as ours, aiohttp.ClientSession() as session:
            host = CallingHost(self.referred())
            host.http = session
            async with self.kind.open(self.options, host) as provider:
                for name, (body, changed) in self.told().items():
                    before = asyncio.all_tasks()
                    sealed = self.deliver(body, changed=changed)
                    read = await self._follow(provider, self.deliver(ours.replaced(body), changed=changed))
                    assert read or name != "body", "with other URLs in it, `body` is not read at all"
                    await self._follow(provider, self.deliver(ours.planted(body), changed=changed))
                    await self._follow(provider, msgspec.structs.replace(sealed, body=ours.planted(sealed.body)))
                    await settled(before)
                    assert not await ours.visitors(), f"a URL of {name} was asked"

    async def _follow(self, provider: api.Provider, delivery: api.Delivery) -> bool:
        """Read, and ask from where git would fetch; whether it was read."""
        with no_sockets():
            with contextlib.suppress(*self.refusals):
                provider.authenticate(delivery)
            try:
                reading = provider.parse(delivery)
            except api.Unreadable:
                return False
        for event in getattr(reading, "events", ()):
            repository = getattr(event, "repository", None)
            if repository is None or not isinstance(provider, api.ClonesSource) or "clones_from" in self.no_such:
                continue
            base = self.clones_from or self.options.get("base_url")
            if base is None:
                pytest.fail(
                    f"say {type(self).__name__}.clones_from = what every clone URL of these options begins with"
                )
            url = (await provider.clone_source(repository.path)).url
            assert f"{url}/".startswith(f"{base.rstrip('/')}/"), f"git would fetch from {url}"
        return True


def _types(reading: api.Reading) -> list[str] | None:
    return [api.event_type(event) for event in reading.events] if isinstance(reading, api.Parsed) else None


def _is_creation(event: api.Event) -> bool:
    if not isinstance(event, api.REF_EVENTS):
        return False
    return event.before is None and event.before_known is not False and event.after is not None


def _is_deletion(event: api.Event) -> bool:
    if not isinstance(event, api.REF_EVENTS):
        return False
    return event.after is None and (event.before is not None or event.before_known is False)
