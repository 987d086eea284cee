"""The codes that devices used up by reports of offline successes.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add two columns and a table. No report so far is known as one, so that a repeat of its code still counts."""
    for name in ("reported_from", "reported_to"):
        op.add_column("token", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "reported_success",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("successes", sa.Integer(), nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("short_outage", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "account_id", "minute", "token_id", name="pk_reported_success"),
    )
    op.create_index("ix_reported_success_account_id", "reported_success", ["account_id"])
