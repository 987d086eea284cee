"""Administration: token and lockout policies, online emergency access, dialogues, roles, sessions, approvals.

Written out: a later change to `tables.py` must not change what this revision makes.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, add the columns, and give an existing server its default policies."""
    _create_token_policy()
    _create_lockout_policy()
    _create_role()
    _create_role_grant()
    _create_admin_session()
    _create_approval()
    _create_dialogue()
    _create_online_emergency()
    _create_online_emergency_code()
    _create_operator_lift()
    _create_operator_showing()
    _add_columns()
    _insert_default_policies()


def _create_token_policy() -> None:
    op.create_table(
        "token_policy",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("code_window", sa.Integer(), nullable=False),
        sa.Column("next_tokencode_after", sa.Integer(), nullable=False),
        sa.Column("pin_minimum", sa.Integer(), nullable=False),
        sa.Column("pin_maximum", sa.Integer(), nullable=False),
        sa.Column("pin_characters", sa.String(), nullable=False),
        sa.Column("pin_history", sa.Integer(), nullable=False),
        sa.Column("pin_lifetime", sa.Integer(), nullable=False),
        sa.Column("blocked_words", sa.String(), nullable=False),
        sa.Column("emergency_alphabet", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_policy")),
        sa.UniqueConstraint("name", name=op.f("uq_token_policy_name")),
    )


def _create_lockout_policy() -> None:
    op.create_table(
        "lockout_policy",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("most_failures", sa.Integer(), nullable=False),
        sa.Column("within_minutes", sa.Integer(), nullable=False),
        sa.Column("unlock_after_minutes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lockout_policy")),
        sa.UniqueConstraint("name", name=op.f("uq_lockout_policy_name")),
    )


def _create_role() -> None:
    op.create_table(
        "role",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
    )


def _create_role_grant() -> None:
    op.create_table(
        "role_grant",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=32), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["security_domain.id"], name=op.f("fk_role_grant_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
        sa.UniqueConstraint(
            "principal_id", "role", "domain_id", name=op.f("uq_role_grant_principal_id_role_domain_id")
        ),
    )
    op.create_index(op.f("ix_role_grant_principal_id"), "role_grant", ["principal_id"], unique=False)


def _create_admin_session() -> None:
    op.create_table(
        "admin_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("second_factor_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_admin_session_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_session")),
    )
    op.create_index(op.f("ix_admin_session_account_id"), "admin_session", ["account_id"], unique=False)


def _create_approval() -> None:
    op.create_table(
        "approval",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("asked_by", sa.String(length=160), nullable=False),
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("ticket", sa.String(length=100), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=160), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.Column("executed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_approval_account_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_approval_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    op.create_index(op.f("ix_approval_account_id"), "approval", ["account_id"], unique=False)


def _create_dialogue() -> None:
    op.create_table(
        "dialogue",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("ask", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("login", sa.String(length=128), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("pin_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_dialogue_account_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_dialogue_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialogue")),
    )
    op.create_index(op.f("ix_dialogue_account_id"), "dialogue", ["account_id"], unique=False)


def _create_online_emergency() -> None:
    op.create_table(
        "online_emergency",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("if_available", sa.String(length=24), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=160), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_online_emergency_account_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_online_emergency_token_id")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_online_emergency")),
    )
    op.create_index(op.f("ix_online_emergency_account_id"), "online_emergency", ["account_id"], unique=False)


def _create_online_emergency_code() -> None:
    op.create_table(
        "online_emergency_code",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("code_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_online_emergency_code_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_online_emergency_code")),
    )
    op.create_index(op.f("ix_online_emergency_code_token_id"), "online_emergency_code", ["token_id"], unique=False)


def _create_operator_lift() -> None:
    op.create_table(
        "operator_lift",
        sa.Column("operator", sa.String(length=160), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("lifted_by", sa.String(length=160), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operator", name=op.f("pk_operator_lift")),
    )


def _create_operator_showing() -> None:
    op.create_table(
        "operator_showing",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("operator", sa.String(length=160), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_showing")),
    )
    op.create_index("ix_operator_showing_operator_shown_at", "operator_showing", ["operator", "shown_at"], unique=False)


def _add_columns() -> None:
    op.add_column("account", sa.Column("mail", sa.String(length=254), server_default="", nullable=False))
    no = sa.false()
    op.add_column("offline_policy", sa.Column("passcode_approval", sa.Boolean(), server_default=no, nullable=False))
    op.add_column("offline_policy", sa.Column("showings_warn", sa.Integer(), server_default="10", nullable=False))
    op.add_column("offline_policy", sa.Column("showings_limit", sa.Integer(), server_default="30", nullable=False))
    op.add_column("token", sa.Column("pin_must_change", sa.Boolean(), server_default=no, nullable=False))
    op.add_column("token", sa.Column("pin_set_at", sa.BigInteger(), nullable=True))
    op.add_column("token", sa.Column("pin_history_sealed", sa.LargeBinary(), nullable=True))
    _add_reference("security_domain", "token_policy_id", "token_policy")
    _add_reference("security_domain", "lockout_policy_id", "lockout_policy")
    _add_reference("token", "domain_id", "security_domain")


def _add_reference(table: str, name: str, other: str) -> None:
    # Plain SQL, because SQLite cannot add a constraint later. Both databases keep the name of this one.
    key = f"CONSTRAINT fk_{table}_{name} REFERENCES {other} (id)"
    op.execute(f"ALTER TABLE {table} ADD COLUMN {name} VARCHAR(32) {key}")


def _insert_default_policies() -> None:
    # A new server gets its default policies with its top domain.
    if not op.get_bind().execute(sa.text("SELECT 1 FROM security_domain")).first():
        return
    op.get_bind().execute(
        sa.text("""
            INSERT INTO token_policy (id, name, is_default, revision, code_window, next_tokencode_after, pin_minimum,
                                      pin_maximum, pin_characters, pin_history, pin_lifetime, blocked_words,
                                      emergency_alphabet)
            VALUES (:id, 'Default', :yes, 1, 1, 3, 4, 8, 'letters or digits', 3, 0,
                    '1234,12345,123456,1234567,12345678,87654321,password,passcode,qwerty', 'letters and digits')
        """),
        {"id": secrets.token_hex(16), "yes": True},
    )
    op.get_bind().execute(
        sa.text("""
            INSERT INTO lockout_policy (id, name, is_default, revision, most_failures, within_minutes,
                                        unlock_after_minutes)
            VALUES (:id, 'Default', :yes, 1, 5, 1440, 0)
        """),
        {"id": secrets.token_hex(16), "yes": True},
    )
