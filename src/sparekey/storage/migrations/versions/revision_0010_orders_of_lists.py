"""Lists in other orders: users by name, tokens by their end, devices by last contact. Smaller indexes of the audit log.

Written out: a later change to `tables.py` must not change what this revision makes. A user whom an older version adds
while it still runs beside this one is first in the list by name until the user is edited.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from sparekey.core.search_words import fold_name

revision = "0010"
down_revision = "0009"

_BATCH: Final = 2_000


def upgrade() -> None:
    """Add the column, fill it, and then create the indexes."""
    key = sa.String(length=128).with_variant(sa.String(length=128, collation="C"), "postgresql")
    op.add_column("account", sa.Column("name_key", key, nullable=False, server_default=""))
    _fill()
    op.create_index("ix_account_name_key_login", "account", ["name_key", "login"], unique=False)
    for name, table, columns, where in _INDEXES:
        op.drop_index(name, table_name=table)
        condition = sa.text(where) if where else None
        op.create_index(name, table, columns, unique=False, postgresql_where=condition, sqlite_where=condition)


# Each replaces an index of the same name.
_END: Final = sa.text("coalesce(expires_at, 9223372036854775807)")
_CONTACT: Final = sa.text("coalesce(last_contact, 0)")
_INDEXES: Final[tuple[tuple[str, str, list[Any], str], ...]] = (
    ("ix_token_expires_at", "token", [_END, "serial_key", "serial"], ""),
    ("ix_device_last_contact", "device", [_CONTACT, "id"], ""),
    ("ix_audit_actor", "audit", ["actor"], "coalesce('device:' || device_id, '') <> actor"),
    ("ix_audit_action", "audit", ["action"], "action <> 'sign-in.granted'"),
)


def _fill() -> None:
    connection, after = op.get_bind(), ""
    query = sa.text(f"SELECT id, name FROM account WHERE id > :after ORDER BY id LIMIT {_BATCH}")  # noqa: S608 -- a number of ours
    set_key = sa.text("UPDATE account SET name_key = :key WHERE id = :id")
    while rows := connection.execute(query, {"after": after}).all():
        connection.execute(set_key, [{"id": row.id, "key": fold_name(row.name)} for row in rows])
        after = rows[-1].id
