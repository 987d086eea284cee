"""Search: the words by which users are found, serial numbers without case, names of devices without case and accents,
and indexes for lists and for the audit log.

Written out: a later change to `tables.py` must not change what this revision makes. A user whom an older version adds
while it still runs beside this one has no words, and is found in lists only.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from sparekey.core.search_words import fold_name, words_of

revision = "0006"
down_revision = "0005"

_BATCH: Final = 2_000


def upgrade() -> None:
    """Add the columns and the table, fill them, and then create the indexes."""
    words, serial_key, name_key = _columns()
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("account", "login", type_=sa.String(length=128, collation="C"), existing_nullable=False)
    op.add_column("account", words)
    op.add_column("token", serial_key)
    op.add_column("device", name_key)
    op.create_table(
        "account_word",
        sa.Column("word", _in_bytes(64), nullable=False),
        sa.Column("login", _in_bytes(128), nullable=False),
        sa.PrimaryKeyConstraint("word", "login", name=op.f("pk_account_word")),
        sqlite_with_rowid=False,
    )
    _fill()
    op.drop_index(op.f("ix_account_domain_id"), table_name="account")
    op.drop_index(op.f("ix_device_domain_id"), table_name="device")
    for name, table, columns, where in _INDEXES:
        condition = sa.text(where) if where else None
        op.create_index(name, table, columns, unique=False, postgresql_where=condition, sqlite_where=condition)


_INDEXES: Final[Sequence[tuple[str, str, list[str], str]]] = (
    ("ix_account_domain_id_login", "account", ["domain_id", "login"], ""),
    ("ix_account_locked", "account", ["login"], "locked_at IS NOT NULL"),
    ("ix_account_disabled", "account", ["login"], "NOT enabled"),
    ("ix_token_serial_key_serial", "token", ["serial_key", "serial"], ""),
    ("ix_token_type", "token", ["type", "serial_key", "serial"], ""),
    ("ix_token_expires_at", "token", ["expires_at"], ""),
    ("ix_token_domain_id", "token", ["domain_id", "serial_key", "serial"], ""),
    ("ix_token_unassigned", "token", ["serial_key", "serial"], "account_id IS NULL"),
    ("ix_token_lost", "token", ["serial_key", "serial"], "lost"),
    ("ix_token_disabled", "token", ["serial_key", "serial"], "NOT enabled"),
    ("ix_device_name_id", "device", ["name", "id"], ""),
    ("ix_device_name_key_id", "device", ["name_key", "id"], ""),
    ("ix_device_domain_id_name_key_id", "device", ["domain_id", "name_key", "id"], ""),
    ("ix_device_last_contact", "device", ["last_contact"], ""),
    ("ix_device_revoked", "device", ["name_key", "id"], "revoked_at IS NOT NULL"),
    ("ix_audit_token_id", "audit", ["token_id"], "token_id IS NOT NULL"),
    ("ix_audit_device_id", "audit", ["device_id"], "device_id IS NOT NULL"),
    ("ix_audit_actor", "audit", ["actor"], ""),
    ("ix_audit_action", "audit", ["action"], ""),
    ("ix_audit_at", "audit", ["at"], ""),
)


def _in_bytes(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length=length).with_variant(sa.String(length=length, collation="C"), "postgresql")


def _columns() -> tuple[sa.Column[Any], sa.Column[Any], sa.Column[Any]]:
    return (
        sa.Column("words", sa.Text(), nullable=False, server_default=""),
        sa.Column("serial_key", _in_bytes(64), nullable=False, server_default=""),
        sa.Column("name_key", _in_bytes(128), nullable=False, server_default=""),
    )


def _fill() -> None:
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE token SET serial_key = lower(serial)"))  # serial numbers are ASCII
    set_words = sa.text("UPDATE account SET words = :words WHERE login = :login")
    add_word = sa.text("INSERT INTO account_word (word, login) VALUES (:word, :login)")
    for rows in _batches("account", "login", "login, name, mail"):
        found = {row.login: words_of(row.login, row.name, row.mail) for row in rows}
        connection.execute(
            set_words,
            [{"login": login, "words": "".join(f" {word}" for word in words)} for login, words in found.items()],
        )
        connection.execute(
            add_word, [{"word": word, "login": login} for login, words in found.items() for word in words]
        )
    set_key = sa.text("UPDATE device SET name_key = :key WHERE id = :id")
    for rows in _batches("device", "id", "id, name"):
        connection.execute(set_key, [{"id": row.id, "key": fold_name(row.name)} for row in rows])


def _batches(table: str, key: str, columns: str) -> Iterator[Sequence[sa.Row[Any]]]:
    query = sa.text(f"SELECT {columns} FROM {table} WHERE {key} > :after ORDER BY {key} LIMIT {_BATCH}")  # noqa: S608 -- names of ours
    after = ""
    while rows := op.get_bind().execute(query, {"after": after}).all():
        yield rows
        after = getattr(rows[-1], key)
