"""A version of the counts of failures, under the seal that they have now (S47).

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the column. `sparekey upgrade` then seals the counts as it finds them, once (app/row_seals.py)."""
    op.add_column("account", sa.Column("counts_version", sa.BigInteger(), nullable=False, server_default="0"))
