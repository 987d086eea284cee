"""The PIN lock as a policy; the report of a device on its protection and its accounts that need no passcode.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add three columns. Existing policies get the lock; no device has reported yet."""
    op.add_column("offline_policy", sa.Column("pin_lock", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("device", sa.Column("protection", sa.String(length=32), nullable=False, server_default=""))
    op.add_column("device", sa.Column("exempt_accounts", sa.Text(), nullable=False, server_default="[]"))
