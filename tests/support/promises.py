"""What a server promises, held against what is true after whatever was done to it; not what is done to it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from receiver import Receiver


def losses(
    folder: Path, receiver: Receiver, acknowledged: Mapping[str, str], jobs: Callable[[str], Sequence[str]]
) -> dict[str, list[str]]:
    """What is not as it must be, by promise; empty when every promise was kept. For a server that has stopped.

    `acknowledged`: the sha of each delivery that was answered with 202 or 200. `jobs`: which jobs must build a sha;
    each of their steps adds a line `JOB SHA` to `executed.txt`, and each has all its ends told to `receiver`.
    """
    built = Counter(rows(folder, "select job, sha from builds"))
    ledger = folder / "executed.txt"
    executed = Counter(ledger.read_text().splitlines() if ledger.exists() else ())
    known = dict(rows(folder, "select id, state from deliveries"))
    finished = rows(folder, "select id, job, sha, outcome from builds")
    promised = {(job, sha) for sha in acknowledged.values() for job in jobs(sha)}
    succeeded = [f"{job} {sha}" for _, job, sha, outcome in finished if outcome == "succeeded"]
    found = {
        "not recorded": [delivery for delivery in acknowledged if known.get(delivery) != "routed"],
        "not built": [f"{job} {sha}" for job, sha in promised if not built[job, sha]],
        "built unasked": [f"{job} {sha}" for job, sha in built if job not in jobs(sha)],
        "built twice": [f"{job} {sha}" for (job, sha), count in built.items() if count > 1],
        "ran twice": [line for line, count in executed.items() if count > 1],
        "not run": [line for line in succeeded if line not in executed],
        "ended badly": [build for build, *_, outcome in finished if outcome not in ("succeeded", "lost")],
        "not told": [build for build, *_ in finished if build not in receiver.finished],
        "told under two ids": [build for build, ids in receiver.finished.items() if len(set(ids)) > 1],
        "told wrongly": ["?"] * receiver.forged,
    }
    return {promise: broken for promise, broken in found.items() if broken}


async def settled(folder: Path, patience: float = 60.0) -> None:
    """No delivery waits, no build is open, all news are told. `patience`: seconds in which nothing may get less."""
    for question, what in (
        ("select id from deliveries where state = 'recorded'", "deliveries to be routed"),
        ("select id from builds where state != 'finished'", "builds to finish"),
        ("select id from notifications where state = 'waiting'", "news to be told"),
    ):
        left = len(rows(folder, question))
        while left:
            await until(lambda before=left, ask=question: len(rows(folder, ask)) < before, f"{left} {what}", patience)
            left = len(rows(folder, question))


def rows(folder: Path, question: str, *values: Any) -> list[tuple]:
    """What the database of the server in `folder` answers."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/data/headgate.db?mode=ro", uri=True)) as database:
        return database.execute(question, values).fetchall()


async def until(holds: Callable[[], object], what: str, within: float = 120.0) -> None:
    """Wait until `holds()` does."""
    deadline = asyncio.get_running_loop().time() + within
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"waited {within:g} seconds for {what}"
        await asyncio.sleep(0.02)
