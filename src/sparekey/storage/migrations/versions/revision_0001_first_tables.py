"""The first tables, written out: a later change to `tables.py` must not change what this revision makes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, each after those that it refers to."""
    _create_audit()
    _create_audit_batch()
    _create_data_key()
    _create_offline_policy()
    _create_security_domain()
    _create_account()
    _create_api_client()
    _create_device()
    _create_device_invitation()
    _create_device_account()
    _create_offline_event()
    _create_token()
    _create_device_token()
    _create_emergency_code()
    _create_unit_receipt()
    _create_device_code()
    _create_emergency_showing()


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("token_id", sa.String(length=32), nullable=True),
        sa.Column("device_id", sa.String(length=32), nullable=True),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_account_id"), "audit", ["account_id"], unique=False)
    op.create_index("ix_audit_batch_id", "audit", ["batch", "id"], unique=False)


def _create_audit_batch() -> None:
    op.create_table(
        "audit_batch",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("rows_hash", sa.LargeBinary(), nullable=False),
        sa.Column("row_list", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_batch")),
    )


def _create_data_key() -> None:
    op.create_table(
        "data_key",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_data_key")),
    )


def _create_offline_policy() -> None:
    op.create_table(
        "offline_policy",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("minimum_passcode_length", sa.Integer(), nullable=False),
        sa.Column("allow_tokens_without_pin", sa.Boolean(), nullable=False),
        sa.Column("emergency_tokencode", sa.Boolean(), nullable=False),
        sa.Column("emergency_passcode", sa.Boolean(), nullable=False),
        sa.Column("emergency_lifetime", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("warn_days", sa.Integer(), nullable=False),
        sa.Column("offline_failures", sa.Integer(), nullable=False),
        sa.Column("protection_level", sa.String(), nullable=False),
        sa.Column("server_down", sa.String(), nullable=False),
        sa.Column("users_per_device", sa.Integer(), nullable=False),
        sa.Column("tokens_per_user", sa.Integer(), nullable=False),
        sa.Column("require_hardware_store", sa.Boolean(), nullable=False),
        sa.Column("help_text", sa.String(), nullable=False),
        sa.Column("os_password", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offline_policy")),
        sa.UniqueConstraint("name", name=op.f("uq_offline_policy_name")),
    )


def _create_security_domain() -> None:
    op.create_table(
        "security_domain",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("offline_policy_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["offline_policy_id"], ["offline_policy.id"], name=op.f("fk_security_domain_offline_policy_id")
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["security_domain.id"], name=op.f("fk_security_domain_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_domain")),
        sa.UniqueConstraint("name", name=op.f("uq_security_domain_name")),
    )


def _create_account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("login", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("first_failure_at", sa.BigInteger(), nullable=True),
        sa.Column("locked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["security_domain.id"], name=op.f("fk_account_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_index(op.f("ix_account_domain_id"), "account", ["domain_id"], unique=False)


def _create_api_client() -> None:
    op.create_table(
        "api_client",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("addresses", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["security_domain.id"], name=op.f("fk_api_client_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_client")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_client_key_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_api_client_name")),
    )


def _create_device() -> None:
    op.create_table(
        "device",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("supports_offline", sa.Boolean(), nullable=False),
        sa.Column("hardware_bound", sa.Boolean(), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_contact", sa.BigInteger(), nullable=True),
        sa.Column("event_number", sa.BigInteger(), nullable=False),
        sa.Column("event_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["security_domain.id"], name=op.f("fk_device_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    op.create_index(op.f("ix_device_domain_id"), "device", ["domain_id"], unique=False)


def _create_device_invitation() -> None:
    op.create_table(
        "device_invitation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("device_name", sa.String(length=128), nullable=False),
        sa.Column("domain_id", sa.String(length=32), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["security_domain.id"], name=op.f("fk_device_invitation_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_invitation")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_device_invitation_secret_hash")),
    )


def _create_device_account() -> None:
    op.create_table(
        "device_account",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("login", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("offline_key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("check", sa.LargeBinary(), nullable=False, quote=True),
        sa.Column("confirmed_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("confirmed_check", sa.LargeBinary(), nullable=True),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("last_sign_in", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_device_account_account_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_account_device_id")),
        sa.PrimaryKeyConstraint("device_id", "account_id", name=op.f("pk_device_account")),
    )
    op.create_index(op.f("ix_device_account_account_id"), "device_account", ["account_id"], unique=False)


def _create_offline_event() -> None:
    op.create_table(
        "offline_event",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_hash", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_offline_event_device_id")),
        sa.PrimaryKeyConstraint("device_id", "number", name=op.f("pk_offline_event")),
    )


def _create_token() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("digits", sa.Integer(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.String(length=8), nullable=False),
        sa.Column("seed_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("drift", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("replay_step", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("lost", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("with_pin", sa.Boolean(), nullable=False),
        sa.Column("pin_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("pin_salt", sa.LargeBinary(), nullable=True),
        sa.Column("pin_memory", sa.Integer(), nullable=True),
        sa.Column("pin_passes", sa.Integer(), nullable=True),
        sa.Column("offline_code_online", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_token_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("serial", name=op.f("uq_token_serial")),
    )
    op.create_index(op.f("ix_token_account_id"), "token", ["account_id"], unique=False)


def _create_device_token() -> None:
    op.create_table(
        "device_token",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("last_used", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_device_token_account_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_token_device_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_device_token_token_id")),
        sa.PrimaryKeyConstraint("device_id", "token_id", name=op.f("pk_device_token")),
    )
    op.create_index(op.f("ix_device_token_account_id"), "device_token", ["account_id"], unique=False)
    op.create_index(op.f("ix_device_token_token_id"), "device_token", ["token_id"], unique=False)


def _create_emergency_code() -> None:
    op.create_table(
        "emergency_code",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=True),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("code_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("reset_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(kind = 'tokencode') = (token_id IS NOT NULL)", name=op.f("ck_emergency_code_owner")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_emergency_code_account_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_emergency_code_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_code")),
        sa.UniqueConstraint(
            "account_id", "token_id", "version", name=op.f("uq_emergency_code_account_id_token_id_version")
        ),
    )
    op.create_index(op.f("ix_emergency_code_account_id"), "emergency_code", ["account_id"], unique=False)
    op.create_index(
        "uq_emergency_code_passcode",
        "emergency_code",
        ["account_id", "version"],
        unique=True,
        postgresql_where=sa.text("token_id IS NULL"),
        sqlite_where=sa.text("token_id IS NULL"),
    )


def _create_unit_receipt() -> None:
    op.create_table(
        "unit_receipt",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("policy_revision", sa.Integer(), nullable=False),
        sa.Column("unit_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_unit_receipt_account_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_unit_receipt_device_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_unit_receipt_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_receipt")),
    )
    op.create_index(op.f("ix_unit_receipt_account_id"), "unit_receipt", ["account_id"], unique=False)
    op.create_index("ix_unit_receipt_device_account", "unit_receipt", ["device_id", "account_id"], unique=False)


def _create_device_code() -> None:
    op.create_table(
        "device_code",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("code_id", sa.String(length=32), nullable=False),
        sa.Column("held_code_id", sa.String(length=32), nullable=True),
        sa.Column("held_since", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_device_code_account_id")),
        sa.ForeignKeyConstraint(["code_id"], ["emergency_code.id"], name=op.f("fk_device_code_code_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_code_device_id")),
        sa.ForeignKeyConstraint(["held_code_id"], ["emergency_code.id"], name=op.f("fk_device_code_held_code_id")),
        sa.PrimaryKeyConstraint("device_id", "owner_id", name=op.f("pk_device_code")),
    )
    op.create_index(op.f("ix_device_code_account_id"), "device_code", ["account_id"], unique=False)


def _create_emergency_showing() -> None:
    op.create_table(
        "emergency_showing",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("code_id", sa.String(length=32), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=True),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("ticket", sa.String(length=100), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["code_id"], ["emergency_code.id"], name=op.f("fk_emergency_showing_code_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_emergency_showing_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_showing")),
    )
    op.create_index(op.f("ix_emergency_showing_code_id"), "emergency_showing", ["code_id"], unique=False)
