"""Two counts of failures for each account: at the administrators' interfaces, and everywhere else.

Written out: a later change to `tables.py` must not change what this revision makes. Locks that stand keep their end,
which is that of the lockout policy, and the failures until now count as failures without a success.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns, fill in the failures without a success, and find locked users by either lock."""
    for prefix in ("", "admin_"):
        if prefix:
            op.add_column("account", _number(f"{prefix}failures"))
            op.add_column("account", _time(f"{prefix}first_failure_at"))
            op.add_column("account", _time(f"{prefix}locked_at"))
        op.add_column("account", _time(f"{prefix}locked_until"))
        op.add_column("account", _number(f"{prefix}locks"))
        op.add_column("account", _number(f"{prefix}without_success"))
    op.execute("UPDATE account SET without_success = failures WHERE failures > 0")
    op.drop_index("ix_account_locked", table_name="account")
    locked = sa.text("locked_at IS NOT NULL OR admin_locked_at IS NOT NULL")
    op.create_index(
        "ix_account_locked", "account", ["login"], unique=False, postgresql_where=locked, sqlite_where=locked
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=True)
