"""Where every head is and how it got there; not which observation counts (`routing.ledger` says that)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from headgate.storage import dialect
from headgate.storage.connection import Many, Reading, Together, Writing
from headgate.storage.tables import refs, transitions

REMEMBERED = 32
"""How many of a ref's last transitions `load` brings along."""


class RefKey(msgspec.Struct, frozen=True, kw_only=True):
    """A ref, full, of a repository (its normalised key) of a connection."""

    connection: str
    repository: str
    ref: str


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """The head moved from `before` to `after`; `late`: it was learned of when the head had moved on already."""

    id: str
    key: RefKey
    generation: int
    before: str | None
    after: str | None
    observed_at: datetime
    by_webhook: bool
    by_poll: bool
    late: bool = False


class RefState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a ref; `recent` has its last transitions, oldest first."""

    head: str | None = None
    known: bool = False
    generation: int = 0
    told_head: str | None = None
    polled_head: str | None = None
    polled_generation: int = 0
    recent: tuple[Transition, ...] = ()


async def load(conn: Reading, keys: Sequence[RefKey]) -> dict[RefKey, RefState]:
    """The state of each; one never seen has `known=False` and generation 0."""
    wanted = list(dict.fromkeys(keys))
    recent: dict[RefKey, list[Transition]] = {}
    states = {_key(row): _state(row) for row in await _STATES.ask(conn, {"keys": _listed(wanted)})}
    if states:
        for row in await _RECENT.ask(conn, {"keys": _listed(states)}):
            recent.setdefault(_key(row), []).append(_transition(row))
    unknown = RefState()
    return {key: msgspec.structs.replace(states.get(key, unknown), recent=_last(recent.get(key, []))) for key in wanted}


async def save(
    conn: Writing,
    *,
    states: Mapping[RefKey, RefState],
    new: Sequence[Transition],
    witnessed: Sequence[Transition] = (),
) -> None:
    """Keep the states (without their `recent`), the new transitions, and who has witnessed the known ones."""
    if states:
        rows = [{**_key_row(key), **_state_row(state)} for key, state in states.items()]
        await conn.execute_many(_KEEP, rows)
    if new:
        await conn.execute_many(_ADD, [_transition_row(one) for one in new])
    if witnessed:
        await conn.execute_many(
            _WITNESS, [{"of": one.id, "webhook": one.by_webhook, "poll": one.by_poll} for one in witnessed]
        )


async def heads(conn: Reading, connection: str, repository: str) -> dict[str, RefState]:
    """All refs of a repository, without `recent`."""
    found = await conn.execute(sa.select(refs).where(refs.c.connection == connection, refs.c.repository == repository))
    return {row["ref"]: _state(row) for row in found.mappings()}


async def get(conn: Reading, id: str) -> Transition | None:  # noqa: A002 - the word everybody says
    """One transition."""
    found = await conn.execute(sa.select(transitions).where(transitions.c.id == id))
    row = found.mappings().first()
    return _transition(row) if row else None


async def history(conn: Reading, key: RefKey, *, limit: int = 50) -> tuple[Transition, ...]:
    """A ref's transitions, newest first."""
    found = await conn.execute(
        sa.select(transitions)
        .where(
            transitions.c.connection == key.connection,
            transitions.c.repository == key.repository,
            transitions.c.ref == key.ref,
        )
        .order_by(transitions.c.generation.desc())
        .limit(limit)
    )
    return tuple(_transition(row) for row in found.mappings())


_KEYS = dialect.each("keys")
_IS_KEY = (
    (refs.c.connection == dialect.member(_KEYS, 0))
    & (refs.c.repository == dialect.member(_KEYS, 1))
    & (refs.c.ref == dialect.member(_KEYS, 2))
)
_STATES = Together(sa.select(refs).select_from(_KEYS.join(refs, _IS_KEY)))
_RECENT = Together(
    sa.select(transitions).select_from(
        _KEYS.join(refs, _IS_KEY).join(
            transitions,
            (transitions.c.connection == refs.c.connection)
            & (transitions.c.repository == refs.c.repository)
            & (transitions.c.ref == refs.c.ref)
            & (transitions.c.generation > refs.c.generation - REMEMBERED),
        )
    )
)
_KEEP = Many(dialect.insert_or_update(refs))
_ADD = Many(sa.insert(transitions))
_WITNESS = Many(
    sa.update(transitions)
    .where(transitions.c.id == sa.bindparam("of"))
    .values(by_webhook=sa.bindparam("webhook"), by_poll=sa.bindparam("poll"))
)


def _listed(keys: Iterable[RefKey]) -> list[tuple[str, str, str]]:
    return [(key.connection, key.repository, key.ref) for key in keys]


def _last(moves: list[Transition]) -> tuple[Transition, ...]:
    return tuple(sorted(moves, key=lambda one: one.generation)[-REMEMBERED:])


def _key(row: Mapping[Any, Any]) -> RefKey:
    return RefKey(connection=row["connection"], repository=row["repository"], ref=row["ref"])


def _key_row(key: RefKey) -> dict[str, object]:
    return {"connection": key.connection, "repository": key.repository, "ref": key.ref}


def _state(row: Mapping[Any, Any]) -> RefState:
    return RefState(
        head=row["head"],
        known=row["known"],
        generation=row["generation"],
        told_head=row["told_head"],
        polled_head=row["polled_head"],
        polled_generation=row["polled_generation"],
    )


def _state_row(state: RefState) -> dict[str, object]:
    return {
        "head": state.head,
        "known": state.known,
        "generation": state.generation,
        "told_head": state.told_head,
        "polled_head": state.polled_head,
        "polled_generation": state.polled_generation,
    }


def _transition(row: Mapping[Any, Any]) -> Transition:
    return Transition(
        id=row["id"],
        key=_key(row),
        generation=row["generation"],
        before=row["before"],
        after=row["after"],
        observed_at=row["observed_at"],
        by_webhook=row["by_webhook"],
        by_poll=row["by_poll"],
        late=row["late"],
    )


def _transition_row(one: Transition) -> dict[str, object]:
    return {
        "id": one.id,
        **_key_row(one.key),
        "generation": one.generation,
        "before": one.before,
        "after": one.after,
        "observed_at": one.observed_at,
        "by_webhook": one.by_webhook,
        "by_poll": one.by_poll,
        "late": one.late,
    }
