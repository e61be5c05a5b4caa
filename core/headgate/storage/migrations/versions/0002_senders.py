"""What finds replays, and the networks that hosts publish."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery_digests",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("connection", "digest", "delivery_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("delivery_digests_of_delivery", "delivery_digests", ["delivery_id"], unique=False)
    op.create_table(
        "sender_addresses",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("learned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection"),
        sqlite_with_rowid=False,
    )
