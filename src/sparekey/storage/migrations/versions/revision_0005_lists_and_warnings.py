"""Indexes for pages of alarms and approvals. The time of the last warning of an operator.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the indexes and the column. No operator counts as warned, so at worst one alarm is repeated."""
    op.add_column("operator_lift", sa.Column("warned_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_approval_asked_at_id", "approval", ["asked_at", "id"], unique=False)
    op.create_index("ix_alarm_last_at_id", "alarm", ["last_at", "id"], unique=False)
    op.create_index(
        "ix_alarm_open",
        "alarm",
        ["last_at", "id"],
        unique=False,
        postgresql_where=sa.text("acknowledged_at IS NULL"),
        sqlite_where=sa.text("acknowledged_at IS NULL"),
    )
