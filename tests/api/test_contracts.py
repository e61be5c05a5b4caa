"""The conformance kit itself: a sound plugin passes, and each contract test catches the fault it is there for.

That of providers has a file of its own.
"""

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
    TriggerContract,
    mutated,
    no_sockets,
    sample_events,
    sample_subject,
)
from headgate_plugins import commit_status, webhook_notifier

TEXT = b'{"repository": "acme/web", "head": "%s"}' % (b"a1" * 20)


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


class ForgetfulStore(CredentialStoreContract):
    @contextlib.asynccontextmanager
    async def open_store(self, folder):
        yield Drawer()


def test_a_store_that_forgets_is_caught(tmp_path):
    with pytest.raises(api.CredentialError):
        ForgetfulStore().test_keeps_replaces_and_forgets(tmp_path)


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
    mutants = [mutated(TEXT, dice) for _ in range(500)]
    assert sum(mutant != TEXT for mutant in mutants) > 480


def test_the_door_to_the_network_is_shut_and_opened_again():
    with no_sockets(), pytest.raises(AssertionError, match="connection"):
        socket.socket()
    socket.socket().close()
    assert NOW.tzinfo is not None
