"""Count how often a unit was sealed for a device within an hour.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns. Older receipts have none: they count as fetched once, when they were sealed."""
    op.add_column("unit_receipt", sa.Column("fetches", sa.Integer(), nullable=True))
    op.add_column("unit_receipt", sa.Column("fetches_since", sa.BigInteger(), nullable=True))
