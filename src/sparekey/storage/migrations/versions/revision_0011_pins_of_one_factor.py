"""The time from which a PIN counts as a second factor at self-service.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column. Existing PINs count already."""
    op.add_column("token", sa.Column("pin_counts_from", sa.BigInteger(), nullable=True))
