"""Requests for approval of any act, not only of shown passcodes.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_KEPT = (
    "id, account_id, device_id, asked_by, caller, note, ticket, asked_at, expires_at, decided_by, decided_at, "
    "approved, executed_at, seal"
)


def upgrade() -> None:
    """Add the act and its object. Existing requests are about passcodes; a server of the version before makes those."""
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()  # SQLite cannot allow NULL in an existing column
        return
    for name in ("account_id", "device_id"):
        op.alter_column("approval", name, existing_type=sa.String(length=32), nullable=True)
    for column in _new_columns():
        op.add_column("approval", column)


def _new_columns() -> Sequence[sa.Column[str]]:
    return (
        sa.Column("act", sa.String(length=32), nullable=False, server_default="passcode-shown"),
        sa.Column("subject_id", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("subject", sa.String(length=200), nullable=False, server_default=""),
    )


def _make_anew() -> None:
    op.drop_index("ix_approval_account_id", "approval")
    op.drop_index("ix_approval_asked_at_id", "approval")
    op.rename_table("approval", "approval_before")
    op.create_table(
        "approval",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("device_id", sa.String(length=32), nullable=True),
        sa.Column("asked_by", sa.String(length=160), nullable=False),
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("ticket", sa.String(length=100), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=160), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.Column("executed_at", sa.BigInteger(), nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=True),
        *_new_columns(),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_approval_account_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_approval_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    op.execute(" ".join(("INSERT INTO approval (", _KEPT, ") SELECT", _KEPT, "FROM approval_before")))
    op.drop_table("approval_before")
    op.create_index("ix_approval_account_id", "approval", ["account_id"], unique=False)
    op.create_index("ix_approval_asked_at_id", "approval", ["asked_at", "id"], unique=False)
