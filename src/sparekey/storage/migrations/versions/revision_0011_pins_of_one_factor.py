"""From when a PIN counts as a second factor at self-service.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds the column: PINs that are set already count."""
    op.add_column("token", sa.Column("pin_counts_from", sa.BigInteger(), nullable=True))
