"""The tables of the server's database, the same on SQLite and PostgreSQL.

Rules: times are unix seconds (audit rows: microseconds); ids are random text and never used again; every column that
ends in `_sealed` is encrypted by the vault under associated data that names table, column and owner (S81); no column
holds a seed, a PIN, a code, a unit or an offline key in the clear (S33, S41).
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.search_words import LONGEST_WORD

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# The sort keys of rows without an end or a last contact, exactly as the indexes have them.
NO_END: Final = 2**63 - 1
NEVER: Final = 0


def _in_bytes(length: int) -> String:
    """Return the type of text that both databases sort by its bytes, so that a beginning is a range of an index."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_SQL_TYPES = {bool: Boolean, int: Integer, str: String}


def _id() -> Column[str]:
    return Column("id", String(32), primary_key=True)


def _time(name: str, *, nullable: bool = True, index: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, index=index or None)


def _seal(name: str = "seal") -> Column[bytes]:
    return Column(name, LargeBinary, nullable=True)  # of columns of the row; none: refused (storage/seal_sides.py)


def _failure_count(prefix: str) -> list[Column[int]]:
    """Return the last columns of a count of failures, over all tokens and methods (S06; core.policy.lockout)."""
    return [
        _time(f"{prefix}locked_until"),  # the end of an administrator's lock
        Column(f"{prefix}locks", Integer, nullable=False, server_default="0"),
        Column(f"{prefix}without_success", Integer, nullable=False, server_default="0"),
    ]


def _policy(kind: PolicyKind) -> Table:
    return Table(
        f"{kind}_policy",
        metadata,
        _id(),
        Column("name", String(128), nullable=False, unique=True),
        Column("is_default", Boolean, nullable=False),
        Column("revision", Integer, nullable=False),  # rises with every edit
        *(Column(name, _SQL_TYPES[field.kind], nullable=False) for name, field in kind.fields.items()),
        _seal(),
    )


offline_policy = _policy(PolicyKind.OFFLINE)
token_policy = _policy(PolicyKind.TOKEN)
lockout_policy = _policy(PolicyKind.LOCKOUT)

security_domain = Table(
    "security_domain",
    metadata,
    _id(),
    Column("name", String(100), nullable=False, unique=True),
    Column("parent_id", ForeignKey("security_domain.id"), nullable=True),  # only the top has none
    # none: the domain always uses the default
    *(Column(f"{kind}_policy_id", ForeignKey(f"{kind}_policy.id"), nullable=True) for kind in PolicyKind),
    _seal(),
)

# `user` is a reserved word in PostgreSQL
account = Table(
    "account",
    metadata,
    _id(),
    Column("login", _in_bytes(128), nullable=False, unique=True),
    Column("name", String(128), nullable=False),
    Column("domain_id", ForeignKey("security_domain.id"), nullable=False),
    Column("enabled", Boolean, nullable=False),
    _time("expires_at"),
    Column("failures", Integer, nullable=False),  # consecutive, everywhere but at the administrators' interfaces (S06)
    _time("first_failure_at"),
    _time("locked_at"),
    _time("created_at", nullable=False),
    Column("mail", String(254), nullable=False, server_default=""),  # where notices go; empty: none are sent
    Column("words", Text, nullable=False, server_default=""),  # by which the user is found, a space before each
    Column("name_key", _in_bytes(128), nullable=False, server_default=""),  # the name without case and accents
    _seal(),
    _seal("counts_seal"),
    *_failure_count(""),
    Column("admin_failures", Integer, nullable=False, server_default="0"),  # at the administrators' interfaces
    _time("admin_first_failure_at"),
    _time("admin_locked_at"),
    *_failure_count("admin_"),
    Column("counts_version", BigInteger, nullable=False, server_default="0"),  # of both counts, which changes with them
    Index("ix_account_name_key_login", "name_key", "login"),
    Index("ix_account_domain_id_login", "domain_id", "login"),
)
LOCKED: Final = "locked_at IS NOT NULL OR admin_locked_at IS NOT NULL"
for _name, _which in (("locked", LOCKED), ("disabled", "NOT enabled")):
    Index(f"ix_account_{_name}", account.c.login, postgresql_where=text(_which), sqlite_where=text(_which))

# The words of accounts, one a row, to find the users with a word of a given beginning. The rows name the login, by
# which users are listed. They are derived from the account and written with it, so that a large import checks no
# constraint.
account_word = Table(
    "account_word",
    metadata,
    Column("word", _in_bytes(LONGEST_WORD), primary_key=True),
    Column("login", _in_bytes(128), primary_key=True),
    sqlite_with_rowid=False,
)

token = Table(
    "token",
    metadata,
    _id(),
    Column("serial", String(64), nullable=False, unique=True),
    Column("type", String(16), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=True, index=True),
    Column("digits", Integer, nullable=False),
    Column("interval", Integer, nullable=False),  # seconds
    Column("algorithm", String(8), nullable=False),
    Column("seed_sealed", LargeBinary, nullable=False),
    Column("drift", Integer, nullable=False),  # whole intervals, learnt
    Column("last_step", BigInteger, nullable=False),  # last accepted; only ever raised (S02)
    Column("replay_step", BigInteger, nullable=False),  # last step for which a repeat was counted as a failure
    Column("enabled", Boolean, nullable=False),
    Column("lost", Boolean, nullable=False),
    _time("expires_at"),
    Column("with_pin", Boolean, nullable=False),  # typed as PIN + tokencode; an authenticator app has none
    Column("pin_sealed", LargeBinary, nullable=True),  # verifier P and the PIN's length; none: no PIN is set
    Column("pin_salt", LargeBinary, nullable=True),
    Column("pin_memory", Integer, nullable=True),  # KiB
    Column("pin_passes", Integer, nullable=True),
    Column("offline_code_online", Boolean, nullable=False),  # "use offline code for online access"
    _time("created_at", nullable=False),
    Column("pin_must_change", Boolean, nullable=False, server_default=false()),
    _time("pin_set_at"),
    Column("pin_history_sealed", LargeBinary, nullable=True),  # former verifiers, newest first
    # Of an unassigned token; none: the top domain. An assigned token belongs to its user's domain.
    Column("domain_id", ForeignKey("security_domain.id"), nullable=True),
    Column("serial_key", _in_bytes(64), nullable=False, server_default=""),  # the serial without case
    _time("pin_counts_from"),  # as a second factor at self-service; none: since it was set
    _seal(),
    _seal("step_seal"),
    # Devices used up the steps after `reported_from`, up to `reported_to`. A repeat of one counts as no failure (S49).
    Column("reported_from", BigInteger, nullable=False, server_default="0"),
    Column("reported_to", BigInteger, nullable=False, server_default="0"),
    Index("ix_token_serial_key_serial", "serial_key", "serial"),
    Index("ix_token_type", "type", "serial_key", "serial"),
    Index("ix_token_expires_at", text(f"coalesce(expires_at, {NO_END})"), "serial_key", "serial"),
    Index("ix_token_domain_id", "domain_id", "serial_key", "serial"),
)
for _name, _which in (("unassigned", "account_id IS NULL"), ("lost", "lost"), ("disabled", "NOT enabled")):
    Index(
        f"ix_token_{_name}",
        token.c.serial_key,
        token.c.serial,
        postgresql_where=text(_which),
        sqlite_where=text(_which),
    )
# Few installations have other lengths than six; the sign-in asks which (storage/sign_in/installation.py).
_few = text("digits <> 6")
Index("ix_token_digits", token.c.digits, postgresql_where=_few, sqlite_where=_few)

# Every version of an offline emergency code that some device may still hold.
emergency_code = Table(
    "emergency_code",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),  # tokencode | passcode
    Column("token_id", ForeignKey("token.id"), nullable=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("code_sealed", LargeBinary, nullable=False),
    _time("created_at", nullable=False),
    _time("not_after", nullable=False),
    _time("shown_at"),
    _time("used_at"),
    _time("reset_at"),
    _seal(),
    CheckConstraint("(kind = 'tokencode') = (token_id IS NOT NULL)", name="owner"),
    UniqueConstraint("account_id", "token_id", "version"),
)
# NULLs are distinct in a unique constraint: passcodes, which have no token, need an index of their own.
Index(
    "uq_emergency_code_passcode",
    emergency_code.c.account_id,
    emergency_code.c.version,
    unique=True,
    postgresql_where=text("token_id IS NULL"),
    sqlite_where=text("token_id IS NULL"),
)

device = Table(
    "device",
    metadata,
    _id(),
    Column("name", String(128), nullable=False),
    Column("domain_id", ForeignKey("security_domain.id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # P-256, SubjectPublicKeyInfo, DER
    Column("supports_offline", Boolean, nullable=False),
    Column("hardware_bound", Boolean, nullable=False),
    _time("enrolled_at", nullable=False),
    _time("revoked_at"),
    _time("last_contact"),
    Column("event_number", BigInteger, nullable=False),  # last offline event uploaded; 0: none
    Column("event_hash", LargeBinary, nullable=False),
    Column("name_key", _in_bytes(128), nullable=False, server_default=""),  # the name without case and accents
    Column("protection", String(32), nullable=False, server_default=""),  # as the device says; "": it has not said
    Column("exempt_accounts", Text, nullable=False, server_default="[]"),  # JSON of storage/devices/devices.py
    _seal(),
    Index("ix_device_name_id", "name", "id"),
    Index("ix_device_name_key_id", "name_key", "id"),
    Index("ix_device_domain_id_name_key_id", "domain_id", "name_key", "id"),
    Index("ix_device_last_contact", text(f"coalesce(last_contact, {NEVER})"), "id"),
)
Index(
    "ix_device_revoked",
    device.c.name_key,
    device.c.id,
    postgresql_where=text("revoked_at IS NOT NULL"),
    sqlite_where=text("revoked_at IS NOT NULL"),
)

device_invitation = Table(
    "device_invitation",
    metadata,
    _id(),
    Column("device_name", String(128), nullable=False),
    Column("domain_id", ForeignKey("security_domain.id"), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),  # HMAC of SHA-256 of 80 random bits
    _time("created_at", nullable=False),
    _time("expires_at", nullable=False),
    _time("used_at"),
    _seal(),
)

# One user on one device: the generation of the offline data and its key (offline-day.md, server rule 3).
device_account = Table(
    "device_account",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("account_id", ForeignKey("account.id"), primary_key=True, index=True),
    Column("login", String(128), nullable=False),  # as typed at the device
    Column("generation", BigInteger, nullable=False),
    Column("offline_key_sealed", LargeBinary, nullable=False),
    Column("check", LargeBinary, nullable=False, quote=True),
    Column("confirmed_key_sealed", LargeBinary, nullable=True),  # last key that a sign-in event confirmed
    Column("confirmed_check", LargeBinary, nullable=True),
    Column("stale", Boolean, nullable=False),  # the generation has risen; its key is chosen at the next planning
    _time("last_sign_in"),
    _seal(),
)

# Every uploaded offline event, to distinguish a repeated upload from a forked device. Its contents are in `audit`.
offline_event = Table(
    "offline_event",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("event_hash", LargeBinary, nullable=False),
    _time("uploaded_at", nullable=False),
)

# Offline successes that a device reported and that used up codes, or that fell into a moment between two contacts. One
# row for each minute of uploads. Tokens and accounts may be deleted.
reported_success = Table(
    "reported_success",
    metadata,
    Column("device_id", String(32), primary_key=True),
    Column("account_id", String(32), primary_key=True, index=True),
    Column("minute", Integer, primary_key=True, autoincrement=False),  # of the upload, since 1970
    Column("token_id", String(32), primary_key=True),
    Column("successes", Integer, nullable=False),
    Column("codes", Integer, nullable=False),  # used up, of those that would still have worked
    Column("cost", Integer, nullable=False),  # of these codes, as core.offline.reported_successes counts it
    Column("short_outage", Boolean, nullable=False),
)

# Days of this token are kept on this device.
device_token = Table(
    "device_token",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("token_id", ForeignKey("token.id"), primary_key=True, index=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    _time("last_used", nullable=False),
    _seal(),
)

# The version of a code that each device holds, and the version that is sealed for it. Owner: the token, or for a
# passcode the account. After a replacement, the versions differ until the device has confirmed the new one.
device_code = Table(
    "device_code",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("owner_id", String(32), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("code_id", ForeignKey("emergency_code.id"), nullable=False),
    Column("held_code_id", ForeignKey("emergency_code.id"), nullable=True),
    _time("held_since"),
    _seal(),
)

# The units that were sealed for a device and that it has acknowledged. Their bytes are never stored (S33).
unit_receipt = Table(
    "unit_receipt",
    metadata,
    _id(),
    Column("device_id", ForeignKey("device.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("token_id", ForeignKey("token.id"), nullable=True),
    Column("kind", String(24), nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970-01-01 UTC; 0 for emergency units
    Column("first", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("policy_revision", Integer, nullable=False),
    Column("unit_hash", LargeBinary, nullable=False),
    Column("sealed_at", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    _time("acknowledged_at"),
    Column("fetches", Integer, nullable=True),  # within the hour that began at `fetches_since`; empty: once
    _time("fetches_since"),
    Index("ix_unit_receipt_device_account", "device_id", "account_id"),
)

# A shown code. A later use of the code is matched to it.
emergency_showing = Table(
    "emergency_showing",
    metadata,
    _id(),
    Column("code_id", ForeignKey("emergency_code.id"), nullable=False, index=True),
    Column("device_id", ForeignKey("device.id"), nullable=True),
    Column("operator", String(128), nullable=False),
    Column("caller", String(200), nullable=False),  # how the caller was identified
    Column("note", String(500), nullable=False),
    Column("ticket", String(100), nullable=False),
    _time("shown_at", nullable=False),
    _seal(),
)

api_client = Table(
    "api_client",
    metadata,
    _id(),
    Column("name", String(128), nullable=False, unique=True),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # HMAC of SHA-256 of 256 random bits
    Column("domain_id", ForeignKey("security_domain.id"), nullable=False),  # its scope: this domain and below
    Column("addresses", String(500), nullable=False),  # networks, comma separated; empty: any
    _time("created_at", nullable=False),
    _time("expires_at"),
    _time("revoked_at"),
    _seal(),
)

# Refused sign-ins of names that no user has, until their minute is over and its events are in `audit`.
anonymous_refusal = Table(
    "anonymous_refusal",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _time("at", nullable=False, index=True),
    Column("source", String(160), nullable=False),  # the interface, with the network of its client
    Column("reason", String(32), nullable=False),
)

audit = Table(
    "audit",
    metadata,
    # AUTOINCREMENT: SQLite would use the numbers of deleted rows again
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),  # unix microseconds
    Column("actor", String(160), nullable=False),  # os:NAME, device:ID, client:ID, system
    Column("action", String(64), nullable=False),  # noun.verb
    Column("account_id", String(32), nullable=True, index=True),
    Column("token_id", String(32), nullable=True),
    Column("device_id", String(32), nullable=True),
    Column("result", String(32), nullable=False),  # ok, or the reason of the refusal
    Column("detail", Text, nullable=False),  # canonical JSON
    Column("batch", BigInteger, nullable=True),  # set by the sequencer
    _seal(),
    sqlite_autoincrement=True,
)
# Rows not yet chained (batch NULL) and the rows of one batch, each in order of id.
Index("ix_audit_batch_id", audit.c.batch, audit.c.id)
# Lists read the newest rows about a subject, by an actor, of an action, or of a time. Each index has one column,
# because PostgreSQL then stores equal keys once, which takes a tenth of the space.
for _name in ("token_id", "device_id"):
    Index(
        f"ix_audit_{_name}",
        audit.c[_name],
        postgresql_where=text(f"{_name} IS NOT NULL"),
        sqlite_where=text(f"{_name} IS NOT NULL"),
    )
Index("ix_audit_at", audit.c.at)
# These indexes leave out the rows of most sign-ins. Rows by a device are found among the rows about it, and successes
# are so frequent that any index finds some soon.
BY_ANOTHER_THAN_THE_DEVICE: Final = "coalesce('device:' || device_id, '') <> actor"
NO_SUCCESS: Final = "action <> 'sign-in.granted'"
for _name, _which in (("actor", BY_ANOTHER_THAN_THE_DEVICE), ("action", NO_SUCCESS)):
    Index(f"ix_audit_{_name}", audit.c[_name], postgresql_where=text(_which), sqlite_where=text(_which))

# The chain: each batch covers its rows and the batch before it, and is a signed checkpoint.
audit_batch = Table(
    "audit_batch",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("previous", LargeBinary, nullable=False),
    Column("rows_hash", LargeBinary, nullable=False),
    Column("row_list", LargeBinary, nullable=False),  # per row: id and the start of its hash, to name what was changed
    Column("rows", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),  # rows in this batch and all before
    Column("hash", LargeBinary, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

# Data keys, each wrapped by the keystore's master key, which is never in the database (S81).
data_key = Table(
    "data_key",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    _time("created_at", nullable=False),
)

# Emergency access at the server for one token: a fixed tokencode, or a set of codes that work once each.
online_emergency = Table(
    "online_emergency",
    metadata,
    Column("token_id", ForeignKey("token.id"), primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),  # fixed | one-time
    Column("if_available", String(24), nullable=False),  # the effect of a tokencode of the token meanwhile
    _time("expires_at"),
    _time("created_at", nullable=False),
    Column("created_by", String(160), nullable=False),
    _seal(),
)

online_emergency_code = Table(
    "online_emergency_code",
    metadata,
    _id(),
    Column("token_id", ForeignKey("token.id"), nullable=False, index=True),
    Column("code_sealed", LargeBinary, nullable=False),
    _time("used_at"),  # of a fixed one: last used
    _seal(),
)

# A challenge of a sign-in, which can be answered once. The table has an older name.
sign_in_challenge = Table(
    "dialogue",
    metadata,
    Column("id", String(64), primary_key=True),  # HMAC of SHA-256 of 128 random bits, in hex
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("token_id", ForeignKey("token.id"), nullable=False),
    Column("ask", String(16), nullable=False),
    Column("actor", String(160), nullable=False),  # the interface: only it may answer
    Column("login", String(128), nullable=False),
    Column("method", String(32), nullable=False),  # core.sign_in.outcome.Method, of the factor that was right
    Column("step", BigInteger, nullable=True),  # of a tokencode
    Column("tries", Integer, nullable=False),
    Column("pin_sealed", LargeBinary, nullable=True),  # verifier of the PIN that must be confirmed
    _time("expires_at", nullable=False),
    _seal(),
)

# Custom roles; the predefined ones are in core.permissions.
role = Table(
    "role",
    metadata,
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("permissions", Text, nullable=False),  # names, comma separated
    _time("created_at", nullable=False),
    _seal(),
)

role_grant = Table(
    "role_grant",
    metadata,
    _id(),
    Column("role", String(64), nullable=False),  # the name of a predefined role or of one in `role`
    Column("principal_id", String(32), nullable=False, index=True),  # of an account or an API client
    Column("domain_id", ForeignKey("security_domain.id"), nullable=False),
    _time("created_at", nullable=False),
    _seal(),
    UniqueConstraint("principal_id", "role", "domain_id"),
)


def _session(name: str, *more: Column[Any]) -> Table:  # Any: columns of any type
    return Table(
        name,
        metadata,
        Column("id", String(64), primary_key=True),  # HMAC of SHA-256 of 256 random bits, in hex
        Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
        _time("created_at", nullable=False),
        _time("last_used_at", nullable=False),
        _time("expires_at", nullable=False),
        _time("second_factor_at", nullable=False),
        *more,
        _seal(),
    )


# Separate tables, so that the interface of administrators never finds a session of the self-service console.
admin_session = _session(
    "admin_session",
    Column("method", String(32), nullable=False, server_default=""),  # core.sign_in.outcome.Method, of the sign-in
    Column("address", String(64), nullable=False, server_default=""),  # of the client
)
user_session = _session(
    "user_session",
    Column(
        "method", String(32), nullable=False, server_default=""
    ),  # core.sign_in.outcome.Method, of its last second factor
    Column("token_id", String(32), nullable=True),  # the token of that factor
)

# Passkeys of administrators: keys that never leave an authenticator, which asks its owner for a PIN or a finger.
passkey = Table(
    "passkey",
    metadata,
    _id(),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("host", String(253), nullable=False),  # the one name of this server at which it can be used
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", BigInteger, nullable=False),  # of the authenticator; 0: it does not count
    _time("created_at", nullable=False),
    _time("last_used_at"),
    _seal(),
)

# Answered challenges of authenticators, as long as a second answer is possible. Unanswered challenges are not stored,
# because anyone can request them.
passkey_challenge = Table(
    "passkey_challenge",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the challenge, in hex
    _time("expires_at", nullable=False, index=True),
)

# A link that makes a user a super administrator.
admin_link = Table(
    "admin_link",
    metadata,
    Column("id", String(64), primary_key=True),  # HMAC of SHA-256 of 128 random bits, in hex
    Column("account_id", ForeignKey("account.id"), nullable=True),  # none: for a user who does not exist yet
    Column("created_by", String(160), nullable=False),
    _time("created_at", nullable=False),
    _time("expires_at", nullable=False),
    _time("used_at"),
    _seal(),
)

# A request for the approval of an act by which one person alone could sign in as the user.
approval = Table(
    "approval",
    metadata,
    _id(),
    Column("account_id", ForeignKey("account.id"), nullable=True, index=True),  # none: it is about no single user
    Column("device_id", ForeignKey("device.id"), nullable=True),  # of the code that is shown
    Column("asked_by", String(160), nullable=False),
    Column("caller", String(200), nullable=False),
    Column("note", String(500), nullable=False),
    Column("ticket", String(100), nullable=False),
    _time("asked_at", nullable=False),
    _time("expires_at", nullable=False),
    Column("decided_by", String(160), nullable=True),
    _time("decided_at"),
    Column("approved", Boolean, nullable=True),
    _time("executed_at"),
    _seal(),
    Column("act", String(32), nullable=False, server_default="passcode-shown"),  # core.emergency.acts.OperatorAct
    Column("subject_id", String(64), nullable=False, server_default=""),  # of the token, domain or policy
    Column("subject", String(200), nullable=False, server_default=""),  # its name when it was asked for
    Index("ix_approval_asked_at_id", "asked_at", "id"),
)

# The raised limit of an operator with its end, and the time of the last warning about many shown codes.
operator_lift = Table(
    "operator_lift",
    metadata,
    Column("operator", String(160), primary_key=True),
    _time("until", nullable=False),
    Column("lifted_by", String(160), nullable=False),
    _time("lifted_at", nullable=False),
    _time("warned_at"),
    _seal(),
)

# Offline and online codes that operators were shown recently. Their tokens and accounts may be deleted.
operator_showing = Table(
    "operator_showing",
    metadata,
    _id(),
    Column("operator", String(160), nullable=False),
    _time("shown_at", nullable=False),
)
Index("ix_operator_showing_operator_shown_at", operator_showing.c.operator, operator_showing.c.shown_at)

# Recent acts of operators that are counted: users that they changed, names of unseen objects that they learnt.
operator_act = Table(
    "operator_act",
    metadata,
    _id(),
    Column("operator", String(160), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    _time("at", nullable=False),
)
Index("ix_operator_act_operator_at", operator_act.c.operator, operator_act.c.at)

# The queue of mail, written in the transaction that it reports on (S42). Sent mail is kept for a while.
outbox = Table(
    "outbox",
    metadata,
    _id(),
    Column("kind", String(32), nullable=False),  # of a notice, or an alarm's action
    Column("recipient", String(254), nullable=False),  # empty: the administrators that the settings name
    Column("subject", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("account_id", String(32), nullable=True),
    _time("created_at", nullable=False),
    Column("attempts", Integer, nullable=False),
    _time("next_attempt_at"),  # none: sent, or given up
    _time("sent_at"),
    Column("last_error", String(200), nullable=False),
    _seal(),
    Index("ix_outbox_next_attempt_at", "next_attempt_at"),
    Index("ix_outbox_created_at", "created_at"),
)

# Alarms. Each has one line until an administrator acknowledges it; repetitions are counted on that line.
alarm = Table(
    "alarm",
    metadata,
    _id(),
    Column("action", String(64), nullable=False),  # of its audit rows
    Column("actor", String(160), nullable=False),
    _time("first_at", nullable=False),
    _time("last_at", nullable=False),
    Column("times", Integer, nullable=False),
    _time("noticed_at", nullable=False),  # when administrators were last notified; 0: not yet
    Column("account_id", String(32), nullable=True),
    Column("token_id", String(32), nullable=True),
    Column("device_id", String(32), nullable=True),
    Column("result", String(32), nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON, of the last time
    _time("acknowledged_at"),
    Column("acknowledged_by", String(160), nullable=True),
    Index("ix_alarm_acknowledged_at_action", "acknowledged_at", "action"),
    Index("ix_alarm_last_at_id", "last_at", "id"),
)
Index(
    "ix_alarm_open",
    alarm.c.last_at,
    alarm.c.id,
    postgresql_where=text("acknowledged_at IS NULL"),
    sqlite_where=text("acknowledged_at IS NULL"),
)

# The progress of each export of the audit log, and the process that has claimed it.
export_cursor = Table(
    "export_cursor",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("batch", BigInteger, nullable=False),  # the last one of which all rows arrived
    Column("claimed_by", String(32), nullable=False),  # one round of one process; empty: unclaimed
    _time("claimed_until", nullable=False),
)
