"""Up to when nothing of a stream is missing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "streams",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("complete_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection"),
        sqlite_with_rowid=False,
    )
