"""The queue's state machine, each arrow one function; not when to claim nor what to run.

```
            plan                claim                       finish
   (nothing) ──a──> queued ──────b──────> running ───────────c───────────> finished
                      │  ^                  │ ^ │ renew, progress             ^ ^
                      │  └─────── e ────────┘ └─┘ d                           │ │
                      │     release (retries left)                            │ │
                      │                     └──── f  release (none left) ─────┘ │
                      └────────────────────────── g  cancel ────────────────────┘
```

a. `plan` numbers it within its job, and finds the one that the same job and ref transition have already.
b. `claim` gives it to a worker with a lease and the next fence; never more of a job than its `max_running`.
c. `finish` with the fence of the claim; a stale worker's is refused.
d. `renew` prolongs the lease and says whether somebody asked to cancel; `progress` tells of steps.
e. `release` of a build whose worker is gone (`expired`), while the job's retries last: it waits again.
f. `release` with no retry left: it is lost; asked to be cancelled meanwhile: it is cancelled.
g. `cancel` of a waiting build ends it at once; a running one is only asked (`renew` tells its worker).

Every arrow is one UPDATE that names the state it leaves, and the fence where a worker pulls it, so that whoever
comes second changes nothing and is told. All functions run inside a unit of the writer; the reads, which need none, are those of `build_reads`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from headgate.api import Build, Isolation, Outcome, State, StepResult
from headgate.storage import dialect
from headgate.storage.build_reads import Depth, by_number, depth, get, newest, only_build, page, previous
from headgate.storage.build_rows import (
    QUEUED,
    RUNNING,
    Claimed,
    NewBuild,
    Planned,
    build_of,
    claimed_of,
    row_of,
)
from headgate.storage.columns import storable
from headgate.storage.connection import Many, Reading, Together, Writing
from headgate.storage.tables import builds, job_numbers

__all__ = [
    "QUEUED",
    "RUNNING",
    "Cancelled",
    "Claimed",
    "Depth",
    "NewBuild",
    "Planned",
    "Renewed",
    "by_number",
    "cancel",
    "claim",
    "depth",
    "expired",
    "finish",
    "get",
    "newest",
    "page",
    "plan",
    "previous",
    "progress",
    "release",
    "renew",
    "running",
]

MOST_CLAIMS = 20
"""How often a build may be taken and given back before it began."""

Renewed: TypeAlias = Literal["ours", "cancel", "fenced"]
Cancelled: TypeAlias = Literal["finished", "requested", "already"]


async def plan(conn: Writing, new: Sequence[NewBuild], *, begun: Collection[str] = frozenset()) -> Sequence[Planned]:
    """Queue each, numbered in the order given, or find the one its ref transition has made already (arrow a).

    `begun`: transitions of which nobody knew before this transaction, so that none can have builds.
    """
    existing = await _of_transitions(conn, [one for one in new if one.transition_id not in begun])
    fresh = [one for one in _first_of_each_transition(new) if _transition(one) not in existing]
    rows = [row_of(one, number) for one, number in await _numbered(conn, fresh)]
    if rows:
        await conn.execute_many(_PLAN, rows)
    planned = {row["id"]: build_of(row) for row in rows}
    made = {_transition(one): planned[one.id] for one in fresh if one.transition_id is not None}
    return [
        Planned(build=planned[one.id], existing=False)
        if one.id in planned
        else Planned(build=existing.get(_transition(one)) or made[_transition(one)], existing=True)
        for one in new
    ]


_PLAN = Many(sa.insert(builds))
_NUMBER = Many(dialect.insert_or_update(job_numbers))
_JOBS = dialect.each("jobs")
_LAST = Together(sa.select(job_numbers).select_from(_JOBS.join(job_numbers, job_numbers.c.job == _JOBS.c.value)))


async def claim(
    conn: Reading,
    *,
    worker: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
) -> tuple[Claimed, ...]:
    """Up to `limit` waiting builds for `worker`: higher priority first, then the longest waiting (arrow b)."""
    claimed: list[Claimed] = []
    while len(claimed) < limit:
        ids = await _candidates(conn, limit - len(claimed))
        if not ids:
            break
        taken = await conn.execute(
            sa.update(builds)
            .where(builds.c.id.in_(ids), QUEUED)
            .values(
                state=State.RUNNING.value,
                fence=builds.c.fence + 1,
                attempt=builds.c.attempt + 1,
                worker=worker,
                started_at=now,
                lease_until=lease_until,
                begun=False,
                steps=(),
            )
            .returning(builds)
        )
        claimed += sorted((claimed_of(row) for row in taken.mappings()), key=lambda one: ids.index(one.build.id))
    return tuple(claimed)


async def renew(conn: Reading, id: str, fence: int, lease_until: datetime) -> Renewed:  # noqa: A002 - the word everybody says
    """Prolong the lease (arrow d): "ours", "cancel" when its end was asked for, "fenced" when it is ours no more."""
    query = _held(id, fence).values(lease_until=lease_until).returning(builds.c.cancel_requested)
    row = (await conn.execute(query)).first()
    if row is None:
        return "fenced"
    return "cancel" if row.cancel_requested else "ours"


async def begin(conn: Reading, id: str, fence: int) -> bool:  # noqa: A002 - the word everybody says
    """Say, before the first process starts, that the build may have done something from now on. `False`: fenced."""
    return (await conn.execute(_held(id, fence).values(begun=True).returning(builds.c.id))).first() is not None


async def progress(
    conn: Reading,
    id: str,  # noqa: A002 - the word everybody says
    fence: int,
    *,
    steps: Sequence[StepResult],
    sha: str | None = None,
    isolation: Isolation | None = None,
) -> Build | None:
    """Tell how far it is (arrow d) and give it as it is now; a `None` leaves what is known. `None`: fenced."""
    values: dict[str, Any] = {"steps": tuple(steps)}
    if sha is not None:
        values["sha"] = sha
    if isolation is not None:
        values["isolation"] = isolation
    return await only_build(conn, _held(id, fence).values(**values).returning(builds))


async def finish(
    conn: Reading,
    id: str,  # noqa: A002 - the word everybody says
    fence: int,
    *,
    outcome: Outcome,
    reason: str,
    steps: Sequence[StepResult],
    isolation: Isolation | None = None,
    now: datetime,
) -> Build | None:
    """End it (arrow c) and give it as it is now, for the news of the same unit. `None`: fenced."""
    values = _end(outcome, reason, now) | {"steps": tuple(steps)}
    if isolation is not None:
        values["isolation"] = isolation
    return await only_build(conn, _held(id, fence).values(**values).returning(builds))


async def cancel(
    conn: Reading,
    id: str,  # noqa: A002 - the word everybody says
    *,
    reason: str,
    now: datetime,
) -> tuple[Cancelled, Build] | tuple[None, None]:
    """End a waiting build at once (arrow g), ask a running one's worker to; `(None, None)`: no such build."""
    waiting = sa.update(builds).where(builds.c.id == id, builds.c.state == State.QUEUED.value)
    build = await only_build(conn, waiting.values(**_end(Outcome.CANCELLED, reason, now)).returning(builds))
    if build is not None:
        return "finished", build
    held = sa.update(builds).where(builds.c.id == id, builds.c.state == State.RUNNING.value)
    build = await only_build(conn, held.values(cancel_requested=True, reason=storable(reason)).returning(builds))
    if build is not None:
        return "requested", build
    build = await get(conn, id)
    return ("already", build) if build is not None else (None, None)


async def expired(conn: Reading, now: datetime, *, limit: int = 100) -> tuple[Claimed, ...]:
    """Running builds whose lease ended before `now`: their workers are gone. `release` each."""
    query = sa.select(builds).where(RUNNING, builds.c.lease_until < now).order_by(builds.c.lease_until).limit(limit)
    return tuple(claimed_of(row) for row in (await conn.execute(query)).mappings())


async def release(
    conn: Reading,
    id: str,  # noqa: A002 - the word everybody says
    fence: int,
    *,
    reason: str,
    now: datetime,
) -> Build | None:
    """Take it from a worker that is gone: it waits again (e) or is lost (f), see its state. `None`: fenced.

    One that had not begun did nothing yet, and waits again as if nobody had taken it; but not for ever, lest a
    build whose preparation ends the server ends it each time.
    """
    untouched = sa.not_(builds.c.begun) & (builds.c.fence < MOST_CLAIMS)
    again = _held(id, fence).where(
        untouched | (builds.c.attempt <= builds.c.retries), sa.not_(builds.c.cancel_requested)
    )
    values = {
        "state": State.QUEUED.value,
        "reason": storable(reason),
        "worker": None,
        "lease_until": None,
        "started_at": None,
        "attempt": sa.case((untouched, builds.c.attempt - 1), else_=builds.c.attempt),
        "isolation": None,
        "steps": (),
    }
    if (build := await only_build(conn, again.values(**values).returning(builds))) is not None:
        return build
    cancelled = _held(id, fence).where(builds.c.cancel_requested)
    ended = cancelled.values(**(_end(Outcome.CANCELLED, "", now) | {"reason": builds.c.reason}))
    if (build := await only_build(conn, ended.returning(builds))) is not None:
        return build
    return await only_build(conn, _held(id, fence).values(**_end(Outcome.LOST, reason, now)).returning(builds))


async def running(conn: Reading, worker: str | None = None) -> tuple[Claimed, ...]:
    """What runs, or what runs in the hands of `worker`, oldest first."""
    query = sa.select(builds).where(RUNNING).order_by(builds.c.id)
    if worker is not None:
        query = query.where(builds.c.worker == worker)
    return tuple(claimed_of(row) for row in (await conn.execute(query)).mappings())


def _transition(one: NewBuild) -> tuple[str, str | None]:
    return (one.job, one.transition_id)


def _first_of_each_transition(new: Sequence[NewBuild]) -> list[NewBuild]:
    seen: set[tuple[str, str | None]] = set()
    first = []
    for one in new:
        if one.transition_id is None or _transition(one) not in seen:
            first.append(one)
            seen.add(_transition(one))
    return first


async def _of_transitions(conn: Reading, new: Sequence[NewBuild]) -> dict[tuple[str, str | None], Build]:
    wanted = [_transition(one) for one in new if one.transition_id is not None]
    found: dict[tuple[str, str | None], Build] = {}
    for part in dialect.chunks(len(wanted)):
        query = sa.select(builds).where(
            builds.c.transition_id.is_not(None), sa.tuple_(builds.c.job, builds.c.transition_id).in_(wanted[part])
        )
        for row in (await conn.execute(query)).mappings():
            found[(row["job"], row["transition_id"])] = build_of(row)
    return found


async def _numbered(conn: Writing, new: Sequence[NewBuild]) -> list[tuple[NewBuild, int]]:
    """Each with the next number of its job; the writer is alone, so reading and adding is safe here."""
    if not new:
        return []
    jobs = list({one.job for one in new})
    last: Counter[str] = Counter()
    last.update({row["job"]: row["last"] for row in await _LAST.ask(conn, {"jobs": jobs})})
    numbered = []
    for one in new:
        last[one.job] += 1
        numbered.append((one, last[one.job]))
    await conn.execute_many(_NUMBER, [{"job": job, "last": number} for job, number in last.items()])
    return numbered


async def _candidates(conn: Reading, limit: int) -> list[str]:
    """The next in the claim's order that may run beside what runs; perhaps fewer than there are."""
    busy = sa.select(builds.c.job, sa.func.count().label("running")).where(RUNNING).group_by(builds.c.job).subquery()
    count = sa.func.coalesce(busy.c.running, 0).label("running")
    query = (
        sa.select(builds.c.id, builds.c.job, builds.c.max_running, count)
        .outerjoin(busy, busy.c.job == builds.c.job)
        .where(QUEUED, sa.or_(builds.c.max_running.is_(None), count < builds.c.max_running))
        .order_by(builds.c.rank, builds.c.queued_at, builds.c.id)
        .limit(limit)
    )
    more: Counter[str] = Counter()
    ids = []
    for row in await conn.execute(query):
        if row.max_running is None or row.running + more[row.job] < row.max_running:
            more[row.job] += 1
            ids.append(row.id)
    return ids


def _held(id: str, fence: int) -> sa.Update:  # noqa: A002 - the word everybody says
    return sa.update(builds).where(builds.c.id == id, builds.c.fence == fence, builds.c.state == State.RUNNING.value)


def _end(outcome: Outcome, reason: str, now: datetime) -> dict[str, Any]:
    return {
        "state": State.FINISHED.value,
        "outcome": outcome.value,
        "reason": storable(reason),
        "finished_at": now,
        "lease_until": None,
    }
