"""Which notifications a build's new state asks for; pure, so that they can be written in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from headgate.api.builds import Build
from headgate.api.jobs import Block
from headgate.api.notifiers import Notifier, Phase
from headgate.storage.ids import new_id
from headgate.storage.notifications import NewNotification

PHASES: tuple[Phase, ...] = ("queued", "running", "finished")


def build_url(public_url: str, build_id: str) -> str:
    """The link to a build that statuses, messages and builds carry; it needs a token, as every route does."""
    return f"{public_url}/api/v1/builds/{build_id}"


def plan_news(
    build: Build,
    *,
    phase: Phase,
    blocks: Sequence[Block],
    notifiers: Mapping[str, Notifier],
    now: datetime,
) -> tuple[NewNotification, ...]:
    """One notification for each block under `notify:` whose notifier wants this phase of this build.

    A block whose notifier is not open is passed over: a job that needs it was refused when it was loaded.
    `sequence` grows with attempt and phase, so that within an order key a newer state is never overwritten.
    """
    wanted = [
        (block, notifiers[block.kind])
        for block in blocks
        if block.kind in notifiers and notifiers[block.kind].wants(phase, build, block.options)
    ]
    return tuple(
        NewNotification(
            id=new_id("n", now),
            build_id=build.id,
            notifier=block.kind,
            options=block.options,
            phase=phase,
            order_key=f"{block.kind} {notifier.order_key(build, block.options)}",  # no notifier can reach another's
            sequence=_sequence(build, phase),
            build=build,
            created_at=now,
        )
        for block, notifier in wanted
    )


def _sequence(build: Build, phase: Phase) -> int:
    """Later builds of a job outrank earlier ones, later attempts earlier ones, later phases earlier ones."""
    return (build.number * 1_000 + min(build.attempt, 99)) * 10 + PHASES.index(phase)
