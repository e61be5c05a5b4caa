"""Two thousand mutated webhooks: none is accepted, none is answered with a fault of ours."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import pytest
from web_server import github_headers, push_body, running_server, sign

from headgate import api
from headgate.storage import deliveries
from headgate_plugins.github.connection import GitHub

SEED = 20_260_504
ALPHABET = bytes(range(256))


def flip(text: bytes, dice: random.Random) -> bytes:
    """One to four places of `text` changed, cut out, doubled or cut off."""
    given = bytearray(text)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(max(1, len(given)))
        match dice.randrange(5):
            case 0:
                given[place : place + 1] = bytes([dice.choice(ALPHABET)])
            case 1:
                del given[place : place + dice.randint(1, 20)]
            case 2:
                given[place:place] = dice.randbytes(dice.randint(1, 20))
            case 3:
                given[place:place] = given[place : place + 40]
            case 4:
                del given[max(place, 1) :]
    return bytes(given)


def changed_bodies(dice: random.Random):
    """A valid signature, for another body."""
    body = push_body()
    other = body
    while other == body:
        other = flip(body, dice)
    return github_headers(body, delivery=str(dice.random())), other


def changed_signatures(dice: random.Random):
    """The right body, with a signature that is nearly right."""
    body = push_body()
    right = sign(body)
    digest = right.removeprefix("sha256=")
    place = dice.randrange(64)
    signature = dice.choice(
        [
            right[: dice.randrange(len(right))],
            right.replace("sha256", dice.choice(["sha1", "sha512", "SHA256", "md5", ""])),
            "sha256=" + digest[:place] + dice.choice("ghijk -_.") + digest[place + 1 :],
            "sha256=" + digest[:place] + ("1" if digest[place] == "0" else "0") + digest[place + 1 :],
            right + dice.choice(["0", ",", ", " + right, "=", "%00"]),
            "sha256=" + digest.upper(),
            digest,
            sign(body, dice.choice(["", "secret", "It's a Secret to Everybody ", "*"])),
            f'"{right}"',
            "é" * place,
        ]
    )
    return {**github_headers(body, delivery=str(dice.random())), "X-Hub-Signature-256": signature}, body


async def attack(server, make, number):
    headers, body = make(random.Random(f"{SEED}-{number}"))
    async with server.deliver(body, headers) as answer:
        return answer.status


def raw_bytes(dice: random.Random) -> bytes:
    """A whole request with a wrong signature, broken anywhere: in its line, headers or body."""
    body = push_body()
    headers = {**github_headers(body), "X-Hub-Signature-256": sign(body, "guess"), "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "ci", "Connection": "close", **headers}.items())
    request = f"POST /webhooks/acme HTTP/1.1\r\n{head}\r\n".encode() + body
    line_and_headers = flip(request[: len(request) - len(body)], dice)
    return line_and_headers + body


async def attack_raw(server, number):
    """The statuses of all answers; `0` for a connection that was closed without one that could still be read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    everything = b""
    try:
        writer.write(raw_bytes(random.Random(f"{SEED}-raw-{number}")))
        while chunk := await asyncio.wait_for(reader.read(65_536), 2.0):
            everything += chunk
    except (ConnectionError, TimeoutError):
        pass  # closed with bytes of ours unread; or kept open, and all has been said
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return [int(line[9:12]) for line in everything.split(b"\r\n") if line.startswith(b"HTTP/1.")] or [0]


async def recorded(server):
    async with server.parts.database.reading() as connection:
        return (await deliveries.page(connection, limit=10)).items


@pytest.mark.parametrize("make", [changed_bodies, changed_signatures])
async def test_mutated_requests_are_refused(server, make):
    found = Counter()
    for start in range(0, 750, 50):
        found.update(await asyncio.gather(*(attack(server, make, number) for number in range(start, start + 50))))
    assert sum(found.values()) == 750
    assert set(found) <= {400, 401}
    assert found[401] > 700
    assert await recorded(server) == ()
    assert server.parts.received == []


async def test_requests_broken_in_any_byte_are_refused(tmp_path):
    async with running_server(tmp_path, read_timeout=0.5) as server:
        found = Counter()
        for start in range(0, 500, 100):
            answers = await asyncio.gather(*(attack_raw(server, number) for number in range(start, start + 100)))
            found.update(status for statuses in answers for status in statuses)
        assert sum(found.values()) >= 500
        assert all(status == 0 or 400 <= status < 500 for status in found), found
        assert found[400] + found[401] > 300
        assert 'status="5' not in server.parts.metrics.exposition().decode()
        assert 'status="2' not in server.parts.metrics.exposition().decode()
        assert await recorded(server) == ()


async def test_the_same_mutations_pass_where_the_door_is_open(server):
    """The negative control: without the seal's check many of them would be recorded."""
    opened = GitHub(site=None, access=None, secrets=[], accept_unsigned=True)
    server.parts.connections["acme"] = type(server.parts.connections["acme"])(
        name="acme", kind="github", provider=opened, event_header="x-github-event"
    )
    found = Counter([await attack(server, changed_signatures, number) for number in range(20)])
    assert found[202] + found[200] > 15


async def test_a_valid_one_among_them_is_accepted(server):
    """And the seal's check refuses for the mutation, not for everything."""
    assert isinstance(server.parts.connections["acme"].provider, api.Provider)
    async with server.deliver(push_body()) as answer:
        assert answer.status == 202
