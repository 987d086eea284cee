"""Refused sign-ins of names that no user has, until their minute is over.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the table. Refusals until now are in the audit log."""
    op.create_table(
        "anonymous_refusal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=160), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anonymous_refusal")),
    )
    op.create_index(op.f("ix_anonymous_refusal_at"), "anonymous_refusal", ["at"], unique=False)
