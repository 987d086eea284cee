"""Seals of the rows that decide (S47).

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_SEALED = (
    "offline_policy",
    "token_policy",
    "lockout_policy",
    "security_domain",
    "account",
    "token",
    "emergency_code",
    "device",
    "device_invitation",
    "device_account",
    "device_token",
    "device_code",
    "emergency_showing",
    "api_client",
    "audit",
    "online_emergency",
    "online_emergency_code",
    "dialogue",
    "role",
    "role_grant",
    "admin_session",
    "user_session",
    "passkey",
    "admin_link",
    "approval",
    "operator_lift",
    "outbox",
)


def upgrade() -> None:
    """Add the columns. `sparekey upgrade` then seals the rows, once (app/row_seals.py)."""
    for table in _SEALED:
        op.add_column(table, sa.Column("seal", sa.LargeBinary(), nullable=True))
    op.add_column("account", sa.Column("counts_seal", sa.LargeBinary(), nullable=True))
    op.add_column("token", sa.Column("step_seal", sa.LargeBinary(), nullable=True))
