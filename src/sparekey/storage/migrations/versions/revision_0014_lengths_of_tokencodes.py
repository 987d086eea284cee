"""An index of tokens whose tokencodes do not have six digits: it says at once which lengths an installation has.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the index."""
    few = sa.text("digits <> 6")
    op.create_index("ix_token_digits", "token", ["digits"], postgresql_where=few, sqlite_where=few)
