"""Challenges after an emergency code: the method that led to the challenge.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table again. A challenge expires after two minutes; users with an open one start again."""
    op.drop_table("dialogue")
    op.create_table(
        "dialogue",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("ask", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("login", sa.String(length=128), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("pin_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_dialogue_account_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_dialogue_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialogue")),
    )
    op.create_index(op.f("ix_dialogue_account_id"), "dialogue", ["account_id"], unique=False)
