"""Kept decisions read back for a person: why something was built, or was not; nothing is judged again here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from headgate.api import Build
from headgate.storage import builds, decisions, deliveries, events, refs
from headgate.storage.connection import Reading
from headgate.storage.decisions import Decision
from headgate.storage.deliveries import DeliveryRecord
from headgate.storage.events import EventRecord
from headgate.storage.refs import Transition


class ExplainedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event, what moved because of it, and one decision for each job of its repository."""

    event: EventRecord
    transition: Transition | None
    decisions: tuple[Decision, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why. `delivery` is `None` for what no webhook brought; `builds` are all that the decisions name."""

    delivery: DeliveryRecord | None
    events: tuple[ExplainedEvent, ...]
    builds: tuple[Build, ...]


async def explain_delivery(conn: Reading, delivery_id: str) -> Explanation | None:
    """What a delivery said and led to; `None` when there is no such delivery."""
    delivery = await deliveries.get(conn, delivery_id)
    if delivery is None:
        return None
    found = await events.of_delivery(conn, delivery_id)
    return await _explanation(conn, delivery, found)


async def explain_build(conn: Reading, build_id: str) -> Explanation | None:
    """Why a build was queued: its event and all that was decided then; `None` when there is no such build."""
    build = await builds.get(conn, build_id)
    if build is None:
        return None
    event = await events.get(conn, build.event_id)
    delivery = await deliveries.get(conn, build.delivery_id) if build.delivery_id else None
    return await _explanation(conn, delivery, [event] if event else [])


async def explain_commit(conn: Reading, job: str, sha: str) -> Explanation:
    """Every decision about one job and one commit, newest first; without events when it was never seen."""
    decided = await decisions.of_job_and_sha(conn, job, sha)
    found = [
        event
        for event_id in dict.fromkeys(decision.event_id for decision in decided)
        if (event := await events.get(conn, event_id))
    ]
    return await _explanation(conn, None, found, only_job=job)


async def _explanation(
    conn: Reading,
    delivery: DeliveryRecord | None,
    found: Sequence[EventRecord],
    only_job: str | None = None,
) -> Explanation:
    decided = await decisions.of_events(conn, [event.id for event in found])
    explained = [
        ExplainedEvent(
            event=event,
            transition=await refs.get(conn, event.transition_id) if event.transition_id else None,
            decisions=tuple(
                decision for decision in decided if decision.event_id == event.id and only_job in (None, decision.job)
            ),
        )
        for event in found
    ]
    named = await _builds(conn, [decision for one in explained for decision in one.decisions])
    return Explanation(delivery=delivery, events=tuple(explained), builds=named)


async def _builds(conn: Reading, decided: Iterable[Decision]) -> tuple[Build, ...]:
    ids = dict.fromkeys(
        build_id for decision in decided for build_id in (decision.build_id, decision.existing_build_id) if build_id
    )
    return tuple([build for build_id in ids if (build := await builds.get(conn, build_id))])
