"""Emergency access that users give themselves: how long, by policy; how a session at self-service was begun.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds three columns: nobody may, and of sessions that are open it is not known how they were begun."""
    op.add_column("token_policy", sa.Column("own_emergency_days", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("user_session", sa.Column("method", sa.String(length=32), nullable=False, server_default=""))
    op.add_column("user_session", sa.Column("token_id", sa.String(length=32), nullable=True))
