"""From where a connection takes deliveries, and how many: each rule, and that it would be different without it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest
from multidict import CIMultiDict
from web_server import github_headers, push_body, running_server

from headgate.web.problems import Refusal
from headgate.web.senders import Senders, client_address, networks


def status(senders, address):
    try:
        senders.check_address(address)
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", 200),
        ("::ffff:192.0.2.7", 200),
        ("192.0.3.7", 403),
        ("2001:db8::1", 200),
        ("2001:db9::1", 403),
        ("fe80::1%eth0", 403),
        ("", 403),
        ("unix:", 403),
    ],
)
def test_only_networks_that_are_listed(address, expected):
    assert status(Senders(allow=["192.0.2.0/24", "2001:db8::/32"]), address) == expected
    assert status(Senders(), address) == 200, "the control: without a list everybody"


def test_published_networks_count_as_soon_as_they_are_known_and_when_they_change():
    said = None
    senders = Senders(allow=["provider", "10.0.0.0/8"], published=lambda: said)
    assert status(senders, "192.0.2.7") == 503, "they may be the host's, so it is to come again"
    assert status(senders, "10.1.2.3") == 200
    said = ("192.0.2.0/24",)
    assert status(senders, "192.0.2.7") == 200
    assert status(senders, "198.51.100.1") == 403
    said = ("198.51.100.0/24",)
    assert status(senders, "192.0.2.7") == 403
    assert status(senders, "198.51.100.1") == 200


def test_a_minutes_worth_may_come_at_once_and_then_one_at_a_time():
    moment = [0.0]
    senders = Senders(per_minute=6, monotonic=lambda: moment[0])
    for _ in range(6):
        senders.count()
    with pytest.raises(Refusal) as refusal:
        senders.count()
    assert (refusal.value.status, refusal.value.headers) == (429, {"Retry-After": "10"})
    moment[0] = 10.0
    senders.count()
    with pytest.raises(Refusal):
        senders.count()
    moment[0] = 10_000.0
    for _ in range(6):
        senders.count()
    with pytest.raises(Refusal):
        senders.count()


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", ["192.0.2.7"], "203.0.113.9"),  # not through a proxy of ours: what it writes is not believed
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7"], "192.0.2.7"),  # the client wrote the first itself
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7, nonsense"], "nonsense"),  # and is in no network
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ],
)
def test_who_asks_behind_proxies(peer, forwarded, expected):
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    request = SimpleNamespace(remote=peer, headers=headers)
    assert client_address(request, networks(["10.0.0.0/8"])) == expected


def with_senders(server, senders):
    server.parts.connections["acme"] = replace(server.parts.connections["acme"], senders=senders)


async def test_a_delivery_from_elsewhere_is_403_before_its_body_is_read_and_leaves_a_line_in_the_log(server, capsys):
    with_senders(server, Senders(allow=["192.0.2.0/24"]))
    async with server.deliver(b"x" * 900_000, {"Content-Type": "application/json"}) as answer:
        assert answer.status == 403
    assert server.parts.received == []
    assert "not taken from this address" in capsys.readouterr().out
    with_senders(server, Senders(allow=["127.0.0.0/8"]))
    async with server.deliver(push_body()) as answer:
        assert answer.status == 202


async def test_the_address_behind_a_proxy_is_what_counts_and_what_is_kept(tmp_path):
    def proxied(parts):
        server = msgspec.structs.replace(parts.settings.server, trusted_proxies=("127.0.0.1",))
        parts.settings = msgspec.structs.replace(parts.settings, server=server)

    async with running_server(tmp_path, change=proxied) as server:
        with_senders(server, Senders(allow=["192.0.2.0/24"]))
        body = push_body()
        async with server.deliver(body, github_headers(body, **{"X-Forwarded-For": "192.0.2.7"})) as answer:
            assert answer.status == 202
        ((new, _),) = server.parts.received
        assert new.delivery.remote == "192.0.2.7"
        async with server.deliver(body, github_headers(body, **{"X-Forwarded-For": "192.0.3.7"})) as answer:
            assert answer.status == 403


async def test_too_many_are_429_and_forgeries_do_not_use_them_up(server):
    with_senders(server, Senders(per_minute=2))
    body = push_body()
    for _ in range(5):
        async with server.deliver(
            body, github_headers(body, **{"X-Hub-Signature-256": "sha256=" + "0" * 64})
        ) as answer:
            assert answer.status == 401
    statuses = []
    for number in range(3):
        async with server.deliver(body, github_headers(body, delivery=f"nr-{number}")) as answer:
            statuses.append((answer.status, answer.headers.get("Retry-After")))
    assert statuses == [(202, None), (202, None), (429, "30")]


@pytest.mark.parametrize(("window", "expected"), [(3600.0, 200), (None, 202)])
async def test_the_same_body_under_another_id_is_a_duplicate_within_the_window(server, window, expected):
    """GitHub signs no id: the control is that without a window the replay comes in."""
    with_senders(server, Senders(replay_window=window))
    body = push_body()
    async with server.deliver(body) as answer:
        first = (await answer.json())["delivery"]
    async with server.deliver(body, github_headers(body, delivery="another")) as answer:
        assert answer.status == expected
        said = await answer.json()
    if window:
        assert said == {"delivery": first, "duplicate": True}
    other = push_body(after="c" * 40)
    async with server.deliver(other, github_headers(other, delivery="third")) as answer:
        assert answer.status == 202
