"""All tables and their indexes; not how they are filled.

Every list has an index that ends in the id, so that a page costs the same at a thousand and at a million rows.
What the queue asks all the time (what waits, what runs) has partial indexes, which hold only those few rows.
A condition meant for a partial index must be written with `is_literally`: SQLite cannot use such an index for a
bound parameter.
"""

from __future__ import annotations

import sqlalchemy as sa

from headgate.api import Event, Job, Repository, StepResult, Verdict
from headgate.api.builds import Build
from headgate.storage.columns import Json, Moment

metadata = sa.MetaData()


def is_literally(column: sa.Column[str], word: str) -> sa.ColumnElement[bool]:
    """`column = 'word'` with the word in the statement; only for words of ours."""
    return column == sa.literal(word, literal_execute=True)


PAIRS = tuple[tuple[str, str], ...]
TEXTS = tuple[str, ...]
TEXT_BY_NAME = dict[str, str]

DEDUPE = (("connection", "key"), sa.text("key IS NOT NULL"))
"""What makes two deliveries the same one: columns, and where."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("event", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("settled_at", Moment),
    sa.Column("replay_of", sa.Text),
    sa.Index(
        "deliveries_key", *DEDUPE[0], unique=True, sqlite_where=DEDUPE[1], postgresql_where=DEDUPE[1],
    ),
    sa.Index("deliveries_of_connection", "connection", "id"),
    sa.Index("deliveries_of_state", "state", "id"),
    # Of one connection: what was routed is nearly all of it, what is unreadable few of all; only these lie between.
    sa.Index(
        "deliveries_ignored", "connection", "id",
        sqlite_where=sa.text("state = 'ignored'"), postgresql_where=sa.text("state = 'ignored'"),
    ),
    sqlite_with_rowid=False,  # small rows, asked for by id only: the table is its own index
)  # fmt: skip

# Apart from `deliveries`: settling a delivery rewrites its row, and should not rewrite megabytes of evidence.
delivery_contents = sa.Table(
    "delivery_contents",
    metadata,
    sa.Column("delivery_id", sa.Text, sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("hook", sa.Text, nullable=False),
    sa.Column("query", Json(PAIRS), nullable=False),
    sa.Column("remote", sa.Text, nullable=False),
    sa.Column("headers", Json(PAIRS), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

# Only of connections that want replays found; SHA-256 of the body.
delivery_digests = sa.Table(
    "delivery_digests",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("delivery_id", sa.Text, primary_key=True),
    sa.Column("received_at", Moment, nullable=False),
    sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], ondelete="CASCADE"),
    sa.Index("delivery_digests_of_delivery", "delivery_id"),
    sqlite_with_rowid=False,
)

# The networks that hosts last said their webhooks come from.
sender_addresses = sa.Table(
    "sender_addresses",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("networks", Json(tuple[str, ...]), nullable=False),
    sa.Column("learned_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

# Up to when all that a connection's stream told is kept.
streams = sa.Table(
    "streams",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("complete_to", Moment, nullable=False),
    sqlite_with_rowid=False,
)

# Up to when a host's history of what it sent was looked through.
hook_looks = sa.Table(
    "hook_looks",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, primary_key=True),
    sa.Column("looked_at", Moment, nullable=False),
    sa.Column("newest_id", sa.Text),
    sa.Column("newest_at", Moment),
    sqlite_with_rowid=False,
)

# What hosts were asked to send again; `delivery` is its key, or made of its id where it has none.
redelivered = sa.Table(
    "redelivered",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("delivery", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, nullable=False),
    sa.Column("keyed", sa.Boolean, nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("times", sa.Integer, nullable=False, server_default="1"),
    sqlite_with_rowid=False,
)

refs = sa.Table(
    "refs",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, primary_key=True),
    sa.Column("ref", sa.Text, primary_key=True),
    sa.Column("head", sa.Text),
    sa.Column("known", sa.Boolean, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("told_head", sa.Text),
    sa.Column("polled_head", sa.Text),
    sa.Column("polled_generation", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("repository", sa.Text, nullable=False),
    sa.Column("ref", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("observed_at", Moment, nullable=False),
    sa.Column("by_webhook", sa.Boolean, nullable=False),
    sa.Column("by_poll", sa.Boolean, nullable=False),
    sa.Column("late", sa.Boolean, nullable=False),
    sa.Index("transitions_of_ref", "connection", "repository", "ref", "generation", unique=True),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("event", Json(Event), nullable=False),
    sa.Column("connection", sa.Text),
    sa.Column("repository", sa.Text),
    sa.Column("sha", sa.Text),
    sa.Column("observer", sa.Text, nullable=False),
    sa.Column("delivery_id", sa.Text),
    sa.Column("transition_id", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("events_of_delivery", "delivery_id", "id"),
    sa.Index("events_of_sha", "sha"),
    sa.Index("events_of_repository", "connection", "repository", "id"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, sa.ForeignKey("events.id"), nullable=False),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("build", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("verdicts", Json(tuple[Verdict, ...]), nullable=False),
    sa.Column("build_id", sa.Text),
    sa.Column("existing_build_id", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("decisions_of_event", "event_id", "job"),
    sa.Index("decisions_of_build", "build_id"),
    sa.Index("decisions_of_existing_build", "existing_build_id"),
)

definitions = sa.Table(
    "definitions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("job", Json(Job), nullable=False),
)

job_numbers = sa.Table(
    "job_numbers",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

builds = sa.Table(
    "builds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("repository", Json(Repository), nullable=False),
    sa.Column("repository_key", sa.Text, nullable=False),
    sa.Column("ref", sa.Text),
    sa.Column("sha", sa.Text),
    sa.Column("before", sa.Text),
    sa.Column("change", sa.Integer),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("parameters", Json(TEXT_BY_NAME), nullable=False),
    sa.Column("sealed", Json(TEXT_BY_NAME), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),  # minus the priority, so that the claim's index needs no DESC
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("decision_id", sa.Text, nullable=False),
    sa.Column("delivery_id", sa.Text),
    sa.Column("transition_id", sa.Text),
    sa.Column("max_running", sa.Integer),
    sa.Column("retries", sa.Integer, nullable=False),
    sa.Column("queued_at", Moment, nullable=False),
    sa.Column("started_at", Moment),
    sa.Column("finished_at", Moment),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("lease_until", Moment),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("begun", sa.Boolean, nullable=False),
    sa.Column("isolation", sa.Text),
    sa.Column("steps", Json(tuple[StepResult, ...]), nullable=False),
    sa.Index("builds_number", "job", "number", unique=True),
    sa.Index(
        "builds_of_transition", "job", "transition_id", unique=True,
        sqlite_where=sa.text("transition_id IS NOT NULL"), postgresql_where=sa.text("transition_id IS NOT NULL"),
    ),
    sa.Index("builds_of_job", "job", "id"),
    sa.Index("builds_of_ref", "job", "ref", "id"),
    # No index on all states: SQLite would rather take that than the partial ones. Finished are nearly all.
    sa.Index(
        "builds_queued_by_id", "id",
        sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "builds_queued_of_job", "job", "id",
        sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "builds_running_by_id", "id",
        sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"),
    ),
    # The claim's order, with all it looks at: a long queue of a saturated job is skipped inside the index.
    sa.Index(
        "builds_queued", "rank", "queued_at", "id", "job", "max_running", "state",
        sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "builds_running", "job", "state",
        sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"),
    ),
)  # fmt: skip

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("build_id", sa.Text, nullable=False),
    sa.Column("notifier", sa.Text, nullable=False),
    sa.Column("options", Json(dict), nullable=False),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("order_key", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("build", Json(Build), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", Moment, nullable=False),
    sa.Column("last_error", sa.Text),
    sa.Index("notifications_of_key", "order_key", "sequence"),
    sa.Index("notifications_of_build", "build_id", "id"),
    sa.Index(
        "notifications_dead", "id",
        sqlite_where=sa.text("state = 'dead'"), postgresql_where=sa.text("state = 'dead'"),
    ),
    sa.Index(
        "notifications_superseded", "id",
        sqlite_where=sa.text("state = 'superseded'"), postgresql_where=sa.text("state = 'superseded'"),
    ),
    sa.Index(
        "notifications_waiting_by_id", "id",
        sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'"),
    ),
    sa.Index(
        "notifications_waiting", "next_attempt_at",
        sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'"),
    ),
)  # fmt: skip

polls = sa.Table(
    "polls",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, primary_key=True),
    sa.Column("default_branch", sa.Text),
    sa.Column("prefixes", Json(TEXTS), nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("succeeded_at", Moment),
    sa.Column("error", sa.Text),
    sqlite_with_rowid=False,
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("permissions", Json(TEXTS), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("last_used_at", Moment),
    sa.Index("tokens_name", "name", unique=True),
    sa.Index("tokens_hash", "hash", unique=True),
)
