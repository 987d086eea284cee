"""Counted acts of operators: users that they changed, names of unseen objects that they learnt.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add a table. Nothing is counted yet."""
    op.create_table(
        "operator_act",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("operator", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_act")),
    )
    op.create_index("ix_operator_act_operator_at", "operator_act", ["operator", "at"])
