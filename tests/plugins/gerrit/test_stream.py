"""Gerrit's stream against an SSH server that plays it: cuts, reconnects, other host keys, silence; and what was missed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from datetime import timedelta

import asyncssh
import pytest
from ssh_server import CUT, END, WAIT, Relay, SshHost, ssh_server

from headgate import api
from headgate.api.testing import NOW
from headgate.api.testing.calls import Answer, calling
from headgate_plugins import gerrit
from headgate_plugins.gerrit import stream as stream_module
from headgate_plugins.gerrit.keys import event_key

KIND = next(iter(gerrit.headgate_providers()))
PASSWORD = api.Credential(
    type="user_password", fields={"username": api.Secret("ci"), "password": api.Secret("t0ken")}, hosts=("127.0.0.1",)
)
A, B = "a1" * 20, "b2" * 20


def event(number, **more):
    change = {"project": "acme/web", "branch": "main", "number": number, "subject": f"Change {number}"}
    fields = {
        "type": "patchset-created",
        "change": change,
        "patchSet": {"number": 1, "revision": A, "ref": f"refs/changes/{number:02d}/{number}/1"},
        "eventCreatedOn": int(NOW.timestamp()) + number,
    }
    return json.dumps(fields | more).encode()


def line(number, **more):
    return event(number, **more) + b"\n"


@contextlib.asynccontextmanager
async def connected(*plays, key=None, known_hosts=None, hosts=("127.0.0.1",), credential=None, private_key=None):
    """An open connection, its REST host and the SSH host it listens to; `credential=False`: no HTTP password."""
    ssh = SshHost()
    ssh.plays = list(plays)
    async with ssh_server(ssh):
        fields = {
            "private_key": api.Secret(private_key or ssh.private_key),
            "known_hosts": api.Secret(ssh.known_hosts(key) if known_hosts is None else known_hosts),
        }
        ssh_key = api.Credential(type="ssh_key", fields=fields, hosts=hosts)

        def options(url):
            block = {
                "base_url": url,
                "ssh": {"user": "listener", "credential": "secret://contract/ssh", "port": ssh.port},
                "stream": True,
            }
            return block if credential is False else {**block, "credential": "secret://contract/api"}

        async with calling(KIND, options, credential=PASSWORD) as (provider, host):
            provider._ours._credentials["secret://contract/ssh"] = ssh_key
            yield provider, host, ssh


def through(provider, relay, ssh=None):
    """The same server behind the relay's port, and known there."""
    provider._ssh = stream_module.Ssh(
        user="listener", reference="secret://contract/ssh", host="127.0.0.1", port=relay.listens_on
    )
    if ssh is not None:
        known = ssh.known_hosts().replace(f":{ssh.port}", f":{relay.listens_on}")
        credential = provider._ours._credentials["secret://contract/ssh"]
        credential.fields["known_hosts"] = api.Secret(known)


async def heard(provider, since=None, *, count=None):
    """What one opening tells, until `count` or the end; and how it ended."""
    told, ended = [], None
    stream = provider.stream(since)
    try:
        async with asyncio.timeout(10):
            async for one in stream:
                told.append(one)
                if count is not None and len(told) == count:
                    break
    except api.HeadgateError as error:
        ended = error
    await stream.aclose()
    return told, ended


def bodies(told):
    return [one.body for one in told if isinstance(one, api.Streamed)]


async def test_lines_arrive_whole_and_at_once_however_they_are_cut_into_packets():
    pieces = line(1) + line(2, note="ü" * 3000) + b"\r\n" + line(3)
    play = [pieces[at : at + 7] for at in range(0, len(pieces), 7)]
    async with connected([*play, WAIT]) as (provider, _, ssh):
        told, ended = await heard(provider, count=4)
    assert ended is None
    assert told[0] == api.CaughtUp()
    assert bodies(told) == [event(1), event(2, note="ü" * 3000), event(3)]
    assert [one.key for one in told[1:]] == [event_key(event(1)), event_key(event(2)), event_key(event(3))]
    assert ssh.commands == ["gerrit stream-events"]
    assert ssh.users == ["listener"]


async def test_a_line_that_is_cut_off_is_not_told():
    """It is told again whole when the stream is opened again and asked."""
    async with connected([line(1), line(2)[:20], CUT]) as (provider, _, _):
        told, ended = await heard(provider)
    assert bodies(told) == [event(1)]
    assert isinstance(ended, api.Unavailable)


async def test_a_stream_that_gerrit_ends_is_lost():
    async with connected([line(1), END]) as (provider, _, _):
        told, ended = await heard(provider)
    assert bodies(told) == [event(1)]
    assert isinstance(ended, api.Unavailable)


async def test_without_the_capability_it_says_which_is_missing():
    async with connected(["fatal: stream events not permitted\n", 1]) as (provider, _, _):
        _, ended = await heard(provider)
    assert isinstance(ended, api.Refused)
    assert ended.missing == ("Stream Events",)
    assert "not permitted" in str(ended)


async def test_events_that_gerrit_dropped_are_asked_for_by_opening_again():
    async with connected([line(1), b'{"type":"dropped-output"}\n', line(3), WAIT]) as (provider, _, _):
        told, ended = await heard(provider)
    assert bodies(told) == [event(1)]
    assert isinstance(ended, api.Unavailable)


# -- who is at the other end


async def test_a_changed_host_key_is_refused_before_anything_is_sent():
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with connected([line(1), WAIT], key=other) as (provider, _, ssh):
        told, ended = await heard(provider)
    assert isinstance(ended, api.Refused)
    assert "host key" in str(ended)
    assert told == []
    assert ssh.commands == []


async def test_a_host_that_no_line_names_is_refused():
    async with connected([WAIT], known_hosts="git.acme.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n") as opened:
        _, ended = await heard(opened[0])
    assert isinstance(ended, (api.Refused, api.CredentialError))
    assert opened[2].commands == []


@pytest.mark.parametrize("known_hosts", ["", "\n  \n"])
async def test_without_known_hosts_nothing_is_connected_to(known_hosts):
    """The negative control stands below: the library would take any key then."""
    async with connected([WAIT], known_hosts=known_hosts) as (provider, _, ssh):
        _, ended = await heard(provider)
    assert isinstance(ended, api.CredentialError)
    assert ssh.commands == []


async def test_control_the_library_takes_any_key_without_known_hosts():
    ssh = SshHost()
    async with ssh_server(ssh):
        connection = await asyncssh.connect(
            "127.0.0.1", ssh.port, username="x", client_keys=[ssh.client_key], known_hosts=None, config=None
        )
        connection.abort()
        await connection.wait_closed()


async def test_a_key_bound_elsewhere_does_not_travel():
    async with connected([WAIT], hosts=("git.acme.example",)) as (provider, _, ssh):
        _, ended = await heard(provider)
    assert isinstance(ended, api.CredentialError)
    assert ssh.commands == []


async def test_another_key_is_refused_and_its_text_not_told():
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    async with connected([WAIT], private_key=other) as (provider, _, _):
        _, refused = await heard(provider)
    async with connected([WAIT], private_key="no key at all") as (provider, _, _):
        _, unreadable = await heard(provider)
    assert isinstance(refused, api.Refused)
    assert "listener" in str(refused)
    assert isinstance(unreadable, api.CredentialError)
    assert "no key at all" not in str(unreadable)


@pytest.mark.parametrize("at", ["banner", "command"])
async def test_a_server_that_never_answers_is_given_up(monkeypatch, at):
    monkeypatch.setattr(stream_module, "CONNECTS_WITHIN", 0.5)
    async with connected([WAIT]) as (provider, _, ssh), Relay(ssh.port) as relay:
        if at == "banner":
            relay.silent = True
            through(provider, relay)
        else:
            release = asyncio.Event()

            async def never(*_, **__):
                await release.wait()

            monkeypatch.setattr(asyncssh.SSHClientConnection, "create_process", never)
        told, ended = await heard(provider)
    assert told == []
    assert isinstance(ended, api.Unavailable)
    assert "did not let us in" in str(ended)


async def test_a_server_that_is_gone_without_a_word_is_found_out(monkeypatch):
    """Nothing closes the connection; only that nobody answers tells."""
    monkeypatch.setattr(stream_module, "ALIVE_EVERY", 0.05)
    async with connected([line(1), WAIT]) as (provider, _, ssh), Relay(ssh.port) as relay:
        through(provider, relay, ssh)
        stream = provider.stream(None)
        assert await anext(stream) == api.CaughtUp()
        assert (await anext(stream)).body == event(1)
        relay.silent = True
        with pytest.raises(api.Unavailable):
            async with asyncio.timeout(10):
                await anext(stream)


async def test_nobody_listening_at_all_is_unavailable():
    async with connected() as (provider, _, _):
        provider._ssh = stream_module.Ssh(user="x", reference="secret://contract/ssh", host="127.0.0.1", port=1)
        _, ended = await heard(provider)
    assert isinstance(ended, api.Unavailable)


async def test_a_metadata_service_is_connected_to_for_nobody():
    async with connected(hosts=("169.254.169.254",)) as (provider, _, _):
        provider._ssh = stream_module.Ssh(user="x", reference="secret://contract/ssh", host="169.254.169.254")
        _, ended = await heard(provider)
    assert isinstance(ended, api.Refused)


async def test_an_endless_line_is_given_up(monkeypatch):
    monkeypatch.setattr(stream_module, "LONGEST_LINE", 100_000)
    async with connected([b"x" * 50_000, b"x" * 60_000, b"x" * 50_000, WAIT]) as (provider, _, _):
        _, ended = await heard(provider)
    assert isinstance(ended, api.ProviderError)
    assert "longer" in str(ended)


# -- what was missed

LOG = "/a/plugins/events-log/events/"
SINCE = NOW + timedelta(minutes=10)


async def test_the_log_of_events_tells_what_was_missed_before_what_happens():
    """In the order it happened, from a little before; the zone of its times is not known, so more is asked for."""
    early, old, late = (
        event(1, eventCreatedOn=int((SINCE + timedelta(minutes=at)).timestamp())) for at in (-30, -4, 3)
    )
    log = b"\n".join([late, old, b"", b"not json", early, b'{"type": "x"}', b"[]"]) + b"\n"
    async with connected([line(5), WAIT]) as (provider, host, _):
        host.on("GET", LOG, Answer(200, log, {"Content-Type": "text/plain"}))
        told, _ = await heard(provider, SINCE, count=4)
        (asked,) = host.asked
    assert bodies(told) == [old, late, event(5)]
    assert told[2] == api.CaughtUp()
    assert asked.query == {"t1": "2026-01-04 22:05:00"}
    assert asked.headers["Authorization"].startswith("Basic ")


async def test_the_same_event_has_one_key_in_the_log_and_on_the_stream():
    reordered = json.dumps(dict(reversed(json.loads(event(900)).items()))).encode()
    async with connected([line(900), WAIT]) as (provider, host, _):
        host.on("GET", LOG, Answer(200, reordered + b"\n"))
        told, _ = await heard(provider, SINCE, count=3)
    assert told[0].key == told[2].key is not None


async def test_it_listens_before_it_asks():
    """What happens between the answer and the first line would be lost else."""
    async with connected([line(5), WAIT]) as (provider, host, ssh):
        seen = []
        host.on("GET", LOG, lambda _: (seen.append(list(ssh.commands)), Answer(200, b""))[1])
        await heard(provider, SINCE, count=2)
    assert seen == [["gerrit stream-events"]]


async def test_a_log_that_may_have_been_cut_is_said(monkeypatch):
    monkeypatch.setattr("headgate_plugins.gerrit.missed.CUT_AT", 2)
    lines = [event(1, eventCreatedOn=int((SINCE + timedelta(minutes=at)).timestamp())) for at in (1, 2)]
    async with connected([WAIT]) as (provider, host, _):
        host.on("GET", LOG, Answer(200, b"\n".join(lines)))
        told, _ = await heard(provider, SINCE, count=3)
    assert "left out" in told[2].unknown


def changed(number, status="NEW", **more):
    at = "2026-01-05 12:{:02d}:00.000000000"
    return {
        "project": "acme/web",
        "branch": "main",
        "subject": "A thing",
        "status": status,
        "_number": number,
        "owner": {"_account_id": 1, "username": "ada"},
        "current_revision": A,
        "revisions": {
            A: {
                "_number": 2,
                "ref": f"refs/changes/{number:02d}/{number}/2",
                "kind": "REWORK",
                "created": at.format(more.pop("created", 0)),
                "uploader": {"_account_id": 1, "username": "ada"},
            }
        },
        "messages": [
            {"id": "x", "message": "said", "date": at.format(minute), "tag": tag, "author": {"username": "grace"}}
            for minute, tag in more.pop("messages", ())
        ],
        **{key: at.format(value) if key == "submitted" else value for key, value in more.items()},
    }


PREFIX = b")]}'\n"


async def test_without_the_plugin_the_list_of_changes_tells_what_became_of_them():
    pages = [
        [changed(11, created=20), changed(12, created=1, messages=[(21, None)]), changed(13) | {"_more_changes": True}],
        [
            changed(14, "MERGED", submitted=19, submitter={"username": "grace"}),
            changed(
                15, "ABANDONED", messages=[(2, "autogenerated:gerrit:abandon"), (18, "autogenerated:gerrit:abandon")]
            ),
            changed(16, created=30, messages=[(28, "autogenerated:gerrit:restore")]),
        ],
    ]
    async with connected([line(5), WAIT]) as (provider, host, _):
        host.on("GET", "/a/changes/", *(Answer(200, PREFIX + json.dumps(page).encode()) for page in pages))
        told, ended = await heard(provider, SINCE, count=7)
    assert ended is None
    read = [
        KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=one)) for one in bodies(told)
    ]
    found = [(one.number, one.action, one.actor) for reading in read[:5] for one in reading.events]
    assert found == [
        (15, "closed", "grace"),
        (14, "merged", "grace"),
        (11, "updated", "ada"),
        (16, "reopened", "grace"),
        (16, "updated", "ada"),
    ]
    (change,) = read[2].events
    assert (change.source.sha, change.head_ref, change.repository.path) == (A, "refs/changes/11/11/2", "acme/web")
    assert "events-log" in told[5].unknown
    log, first, second = host.asked
    assert log.path == LOG
    assert first.query["q"] == 'after:"2026-01-05 12:05:00 +0000"'
    assert second.query["S"] == "100"


async def test_a_patch_set_of_the_list_has_the_key_of_its_event():
    """So that it is one, whichever tells of it first."""
    async with connected([WAIT]) as (provider, host, _):
        host.on("GET", "/a/changes/", Answer(200, PREFIX + json.dumps([changed(11, created=20)]).encode()))
        told, _ = await heard(provider, SINCE, count=1)
    told_live = json.loads(told[0].body) | {"eventCreatedOn": 1767615999, "uploader": {"name": "Ada"}}
    assert told[0].key == event_key(json.dumps(told_live).encode()) is not None


@pytest.mark.parametrize("status", [503, 429])
async def test_a_rest_api_that_fails_for_now_is_asked_again_by_opening_again(status):
    """It must not say that it has caught up."""
    async with connected([line(5), WAIT]) as (provider, host, _):
        host.on("GET", LOG, Answer(status, {}, {"Retry-After": "3600"}))
        told, ended = await heard(provider, SINCE)
    assert told == []
    assert isinstance(ended, (api.Unavailable, api.RateLimited))


async def test_without_a_credential_what_was_missed_is_unknown_and_said():
    async with connected([line(5), WAIT], credential=False) as (provider, host, _):
        told, _ = await heard(provider, SINCE, count=2)
        assert host.asked == []
    assert "without a credential" in told[0].unknown
    assert bodies(told) == [event(5)]


async def test_the_first_time_nothing_is_asked():
    async with connected([line(5), WAIT]) as (provider, host, _):
        told, _ = await heard(provider, None, count=2)
        assert host.asked == []
    assert told[0] == api.CaughtUp()


# -- what is configured


async def test_a_connection_without_a_stream_has_none():
    async with calling(KIND, lambda url: {"base_url": url, "webhook_secrets": ["secret://contract/hook"]}) as (one, _):
        assert one.stream(None) is None


def test_asyncssh_is_imported_for_a_stream_only_and_named_when_it_is_missing():
    script = """
import asyncio, sys
from headgate import api
from headgate.api.testing import ContractHost
from headgate_plugins import gerrit
kind = next(iter(gerrit.headgate_providers()))
base = {"base_url": "https://review.acme.example"}
async def opened(options):
    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret("x")})})
    async with kind.open(options, host):
        pass
asyncio.run(opened({**base, "webhook_secrets": ["secret://s/h"]}))
assert "asyncssh" not in sys.modules
sys.modules["asyncssh"] = None
try:
    asyncio.run(opened({**base, "stream": True, "ssh": {"user": "ci", "credential": "secret://s/k"}}))
except api.ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "headgate[gerrit]" in done.stdout
