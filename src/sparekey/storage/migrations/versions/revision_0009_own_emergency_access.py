"""Emergency access that users give themselves: its policy, and the sign-in method of a session at self-service.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add three columns. No user may give it yet, and the sign-in method of open sessions is unknown."""
    op.add_column("token_policy", sa.Column("own_emergency_days", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("user_session", sa.Column("method", sa.String(length=32), nullable=False, server_default=""))
    op.add_column("user_session", sa.Column("token_id", sa.String(length=32), nullable=True))
