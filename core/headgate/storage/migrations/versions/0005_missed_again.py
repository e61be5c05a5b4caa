"""How often each missed delivery was asked for: what failed again is asked for again, but not for ever."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("redelivered", sa.Column("times", sa.Integer(), nullable=False, server_default="1"))
