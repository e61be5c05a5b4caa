"""What strace saw: no delivery is acknowledged before the kernel said that it is on the disk.

For each answer that carries a delivery's id, these must have come before, in this order: the id was written into the
WAL, the frame that commits its transaction was written, an fdatasync of the WAL began, and it returned. That the disk
does what fdatasync promises is the disk's part.
"""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from live import Headgate, github_headers, github_push
from soak import LONG
from tracing import Call, Strace, calls, need_strace
from warm import WarmParent

DELIVERIES = 20_000 if LONG else 1_000
SENDERS = 32

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
logs: {level: warning}
"""

ID = re.compile(r"d_[0-9a-v]{26}")
CALLS = "trace=?write,?writev,?sendto,?sendmsg,?pwrite64,?pwritev,?pwritev2,?fdatasync,?fsync"
FRAME_HEADER = re.compile(r'[0-9]+<[^>]*-wal>, "(.*)", 24, ')
FRAME = re.compile(r'[0-9]+<[^>]*-wal>, "')
SYNC = re.compile(r"[0-9]+<[^>]*-wal>")
ANSWER = re.compile(r'HTTP/1\.1 (?P<status>[0-9]{3}).*\\"delivery\\":\\"(?P<id>d_[0-9a-v]{26})\\"')


class Seen(NamedTuple):
    """What a trace shows. `early`: the ids that were told before they were on disk."""

    accepted: int
    duplicates: int
    syncs: int
    early: list[str]


def judge(trace: Iterable[Call]) -> Seen:
    """Follow each id on its way; the format of a frame's header is https://www.sqlite.org/fileformat2.html#walformat."""
    written: set[str] = set()
    committed: set[str] = set()
    synchronising: dict[int, frozenset[str]] = {}
    durable: set[str] = set()
    told: list[tuple[str, str]] = []
    early: list[str] = []
    syncs = 0
    commits = False
    for call in trace:
        if call.name == "pwrite64" and call.begins and (header := FRAME_HEADER.match(call.text)):
            commits = any(ast.literal_eval(f'b"{header[1]}"')[4:8])  # pages after the commit; none: the commit is later
        elif call.name == "pwrite64" and call.begins and FRAME.match(call.text):
            written.update(ID.findall(call.text))
            if commits:
                committed |= written
                written.clear()
        elif call.name in {"fdatasync", "fsync"}:
            if call.begins and SYNC.match(call.text):
                synchronising[call.tid] = frozenset(committed)
            if call.ends and (covered := synchronising.pop(call.tid, None)) is not None and call.text.endswith("= 0"):
                syncs += 1
                durable |= covered
        elif call.begins and (answer := ANSWER.search(call.text)):
            told.append((answer["status"], answer["id"]))
            if answer["id"] not in durable:
                early.append(answer["id"])
    accepted = {name for status, name in told if status == "202"}
    return Seen(accepted=len(accepted), duplicates=len(told) - len(accepted), syncs=syncs, early=early)


async def _traced(tmp_path: Path, *program: str) -> Seen:
    """A running server, deliveries from many senders, a quarter of them twice; what strace saw of it."""
    need_strace()
    parent = WarmParent()
    headgate = Headgate(
        tmp_path / "headgate", CONFIG, "jobs: {}", parent=parent, **({"program": program} if program else {})
    )
    file = tmp_path / "trace"
    try:
        await headgate.start()
        with Strace(headgate.process.pid, file, "-y", "-s", "20000", "-e", CALLS, "-e", "signal=none"):
            connector = aiohttp.TCPConnector(limit=SENDERS)
            async with aiohttp.ClientSession(f"{headgate.url}", connector=connector) as http:
                numbers = iter(range(DELIVERIES))
                await asyncio.gather(*(_send(http, numbers) for _ in range(SENDERS)))
        await headgate.stop()
    finally:
        headgate.close()
        parent.close()
    return judge(calls(file))


async def _send(http: aiohttp.ClientSession, numbers: Iterable[int]) -> None:
    for number in numbers:
        body = github_push("acme/web", f"refs/heads/b{number}", None, f"{number:040x}")
        headers = github_headers(body)
        for _ in range(2 if number % 4 == 0 else 1):
            async with http.post("/webhooks/hub", data=body, headers=headers) as answer:
                assert answer.status in (200, 202)


@pytest.mark.reliability
@pytest.mark.timeout(3_600 if LONG else 300)
async def test_no_answer_leaves_before_its_fdatasync_returned(tmp_path):
    seen = await _traced(tmp_path)
    print(f"{seen.accepted} accepted, {seen.duplicates} duplicates, {seen.syncs} syncs, {len(seen.early)} told early")
    assert seen.accepted == DELIVERIES
    assert seen.duplicates == DELIVERIES // 4
    assert seen.syncs >= DELIVERIES / SENDERS, "each group has its own"
    assert seen.early == []


@pytest.mark.reliability
@pytest.mark.timeout(3_600 if LONG else 300)
@pytest.mark.parametrize("protection", ["syncs_later", "answers_early"])
async def test_control_without_a_protection_answers_leave_early(tmp_path, protection):
    seen = await _traced(tmp_path, sys.executable, str(Path(__file__).parents[1] / "support" / f"{protection}.py"))
    print(f"{protection}: {len(seen.early)} of {seen.accepted + seen.duplicates} told early")
    assert seen.accepted >= DELIVERIES
    assert len(seen.early) > DELIVERIES / 2
