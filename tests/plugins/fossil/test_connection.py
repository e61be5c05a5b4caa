"""What our hook's signature proves and what it says: the contract every provider keeps, and Fossil's own rules."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from headgate import api
from headgate.api.testing import NOW, ContractHost, ProviderContract
from headgate_plugins import fossil

KIND = next(iter(fossil.headgate_providers()))
HASH, TAG = "a1" * 32, "b2" * 20
CHECK_IN = f"{HASH} check-in to trunk by ada on 2026-01-05 11:59"
OPTIONS = {"base_url": "https://fossil.example.org", "mirrors": "/nowhere/mirrors"}

SEALED = {**OPTIONS, **ProviderContract.options}


def body(*lines, repository="team/web"):
    return json.dumps({"repository": repository, "artifacts": list(lines)}).encode()


class TestContract(ProviderContract):
    kind = KIND
    body = body(CHECK_IN)
    signature_headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    same_repository = ("team/web", "team/web.fossil", "/team/web/")
    no_repository = ("", "..", "team/../web", "-team/web", "team/w\nb", "team/w\0b", "https://x.org/web", "a//b", "a?b")
    options = SEALED
    repository = "team/web.fossil"
    polled = {}  # noqa: RUF012
    goldens = Path(__file__).with_name("goldens")
    no_such = dict.fromkeys(("created", "deleted"), "the hook announces check-ins; the poll finds what moved") | {
        "from_branch": "Fossil has no change requests",
        "from_fork": "Fossil has no change requests",
        "clones_from": "git fetches from a mirror on our disk: test_server.py",
    }
    mutants = 10_000

    def headers(self, body, secret, at, message_id="msg_1"):
        seconds = int(at.timestamp())
        signature = api.standard_webhooks_signature(message_id, seconds, body, api.Secret(secret))
        return {"webhook-id": message_id, "webhook-timestamp": str(seconds), "webhook-signature": signature}

    def another(self):
        return self.body, self.headers(self.body, next(iter(self.secrets.values())), NOW, "msg_2")

    def unknown(self):
        return body(f"{HASH} wiki page [Home]"), {}


def read(*lines, **more):
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body(*lines, **more)))


@pytest.mark.parametrize(
    ("lines", "actor"),
    [
        ([CHECK_IN], "ada"),
        ([f"{TAG} tag {HASH[:16]}"], None),
        ([f"{HASH} file a.txt", f"{HASH} check-in to by on 1 by bob by on 2026-01-05 11:59", f"{TAG} tag x"], "bob by"),
    ],
)
def test_check_ins_and_tags_have_the_repository_asked(lines, actor):
    (event,) = read(*lines).events
    assert event == api.PollRequested(repository=api.Repository(host="localhost", path="team/web"), actor=actor)


def test_an_open_connection_names_its_own_host():
    host = ContractHost({})
    options = {**OPTIONS, "accept_unsigned": api.ACCEPT_UNSIGNED}

    async def story():
        async with KIND.open(options, host) as provider:
            delivery = api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body(CHECK_IN))
            assert provider.authenticate(delivery) == api.Seal()
            return provider.parse(delivery).events[0].repository.host

    import asyncio

    assert asyncio.run(story()) == "fossil.example.org"


@pytest.mark.parametrize(
    "lines", [[], [f"{HASH} file a.txt"], ["a1 check-in to trunk"], [f"{HASH} ticket"], ["x" * 5000]]
)
def test_what_moves_no_ref_is_ignored_with_a_reason(lines):
    assert read(*lines).reason


@pytest.mark.parametrize("repository", ["", "../etc", "https://evil.example.org/web"])
def test_what_names_no_repository_is_unreadable(repository):
    with pytest.raises(api.Unreadable):
        read(CHECK_IN, repository=repository)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": None},
        {"mirrors": None},
        {"base_url": "https://ada:pw@fossil.example.org"},
        {"base_url": "ssh://fossil.example.org"},
        {"base_url": "/srv/fossil"},
        {"webhook_secrets": None},
    ],
)
def test_what_the_schema_refuses(changes):
    given = {**OPTIONS, "webhook_secrets": ["secret://s/a"], **changes}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({name: value for name, value in given.items() if value is not None}, KIND.schema)


async def test_without_the_program_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    options = {**OPTIONS, "mirrors": str(tmp_path / "mirrors"), "accept_unsigned": api.ACCEPT_UNSIGNED}
    async with KIND.open(options, ContractHost({})) as provider:
        for call in (provider.clone_source("web"), provider.test_connection()):
            with pytest.raises(api.ProviderError, match="not installed"):
                await call
        with pytest.raises(api.NotFound):
            await provider.clone_source("../web")


def test_the_hook_is_served_as_it_is_shipped():
    import asyncio

    (route,) = fossil.headgate_routes()
    answer = asyncio.run(route.answer(api.RouteRequest(method="GET", tail="", query={}, headers={}, body=b"")))
    assert answer.body == Path(fossil.__file__).with_name("after-receive").read_bytes()
    assert answer.body.startswith(b"#!/bin/sh\n")
