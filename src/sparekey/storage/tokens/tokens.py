"""Tokens and the state that the server keeps of them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, TypedDict, Unpack

from sqlalchemy import Connection, Select, case, func, select

from sparekey.core.search_words import serial_key
from sparekey.storage.rows import AnyRow
from sparekey.storage.sealed_rows import insert_row, intact_rows, one, update_rows
from sparekey.storage.tables import account, device_token, security_domain, token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenColumns:
    """The columns of a token that decide a sign-in; times are unix seconds."""

    id: str
    account_id: str | None
    serial: str
    type: str
    digits: int
    interval: int  # seconds; 0: it counts events
    algorithm: str
    seed_sealed: bytes
    drift: int  # whole intervals
    last_step: int
    reported_from: int  # devices used up the steps after it,
    reported_to: int  # up to this one
    enabled: bool
    lost: bool
    expires_at: int | None
    with_pin: bool
    pin_sealed: bytes | None  # none: no PIN is set, and neither are its salt, memory and passes
    pin_salt: bytes | None
    pin_memory: int | None
    pin_passes: int | None
    pin_must_change: bool
    pin_set_at: int | None
    offline_code_online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(TokenColumns):
    """A token with the login and the domain of its user, if any.

    `domain`: the name of the user's domain, or of the token's own domain if it has no user; None: it has neither.
    """

    replay_step: int  # the last step of which a repeat was counted as a failure
    pin_history_sealed: bytes | None
    pin_counts_from: int | None
    domain_id: str | None  # of a token without a user
    created_at: int
    login: str | None
    user_domain_id: str | None
    domain: str | None

    @property
    def serial_key(self) -> str:
        """The key by which lists are sorted: the serial without case."""
        return serial_key(self.serial)

    @property
    def scope_id(self) -> str | None:
        """The domain whose administrators may see the token: its user's, else its own; None: it has neither."""
        return self.user_domain_id or self.domain_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedToken(Token):
    """A token that a user has."""

    account_id: str
    login: str
    user_domain_id: str
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedToken:
    """A token as it is inserted: unused and without a PIN."""

    id: str
    serial: str
    type: str
    account_id: str | None
    domain_id: str | None  # of a token without a user
    digits: int
    interval: int  # seconds; 0: it counts events
    algorithm: str
    seed_sealed: bytes
    last_step: int  # used up, with all before it
    enabled: bool
    expires_at: int | None
    with_pin: bool
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PinColumns:
    """All columns of a token's PIN. By default the token has no PIN and never had one."""

    pin_sealed: bytes | None = None
    pin_salt: bytes | None = None
    pin_memory: int | None = None
    pin_passes: int | None = None
    pin_history_sealed: bytes | None = None
    pin_set_at: int | None = None
    pin_must_change: bool = False
    pin_counts_from: int | None = None


class TokenChanges(TypedDict, total=False):
    """Columns that an edit of a token sets."""

    enabled: bool
    lost: bool
    expires_at: int | None
    offline_code_online: bool
    pin_must_change: bool


def insert_token(connection: Connection, new: UnusedToken) -> None:
    insert_row(connection, token, columns_of(new))


def columns_of(new: UnusedToken) -> dict[str, object]:
    """Return the columns of a new token by name."""
    return {
        "id": new.id,
        "serial": new.serial,
        "type": new.type,
        "account_id": new.account_id,
        "domain_id": new.domain_id,
        "digits": new.digits,
        "interval": new.interval,
        "algorithm": new.algorithm,
        "seed_sealed": new.seed_sealed,
        "last_step": new.last_step,
        "replay_step": new.last_step,
        "enabled": new.enabled,
        "expires_at": new.expires_at,
        "with_pin": new.with_pin,
        "created_at": new.created_at,
        "serial_key": serial_key(new.serial),
        "drift": 0,
        "lost": False,
        "offline_code_online": False,
    }


def find_token(connection: Connection, serial: str) -> Token | None:
    return _one(connection, _tokens().where(token.c.serial == serial))


def find_token_by_id(connection: Connection, token_id: str) -> Token | None:
    return _one(connection, _tokens().where(token.c.id == token_id))


def list_tokens(
    connection: Connection,
    limit: int,
    after: str = "",
    account_id: str | None = None,
    within: Iterable[str] | None = None,
) -> list[Token]:
    """Return tokens in order of serial, after the serial `after`. Filters: one account, and these domains."""
    query = _tokens().where(token.c.serial > after).order_by(token.c.serial).limit(limit)
    if account_id is not None:
        query = query.where(token.c.account_id == account_id)
    if within is not None:
        query = query.where(_SCOPE_ID.in_(within))
    return [token_of(row) for row in connection.execute(query)]


def tokens_on_device(connection: Connection, device_id: str, account_id: str) -> list[Token]:
    """Return the account's tokens that have days on the device, the one used last first."""
    query = (
        _tokens()
        .join(device_token, device_token.c.token_id == token.c.id)
        .where(device_token.c.device_id == device_id, token.c.account_id == account_id)
        .order_by(device_token.c.last_used.desc(), token.c.id)
    )
    return [token_of(row) for row in intact_rows(connection, query, token, device_token)]


def token_of(row: AnyRow) -> Token:
    """Read a token from a row with its columns, and the login, domain id and domain of its user."""
    kind = Token if row.account_id is None else AssignedToken
    return kind(
        id=row.id,
        account_id=row.account_id,
        serial=row.serial,
        type=row.type,
        digits=row.digits,
        interval=row.interval,
        algorithm=row.algorithm,
        seed_sealed=row.seed_sealed,
        drift=row.drift,
        last_step=row.last_step,
        reported_from=row.reported_from,
        reported_to=row.reported_to,
        enabled=row.enabled,
        lost=row.lost,
        expires_at=row.expires_at,
        with_pin=row.with_pin,
        pin_sealed=row.pin_sealed,
        pin_salt=row.pin_salt,
        pin_memory=row.pin_memory,
        pin_passes=row.pin_passes,
        pin_must_change=row.pin_must_change,
        pin_set_at=row.pin_set_at,
        offline_code_online=row.offline_code_online,
        replay_step=row.replay_step,
        pin_history_sealed=row.pin_history_sealed,
        pin_counts_from=row.pin_counts_from,
        domain_id=row.domain_id,
        created_at=row.created_at,
        login=row.login,
        user_domain_id=row.user_domain_id,
        domain=row.domain,
    )


def update_token(connection: Connection, token_id: str, **changes: Unpack[TokenChanges]) -> None:
    update_rows(connection, token, [token.c.id == token_id], {**changes})


def set_pin(connection: Connection, token_id: str, pin: PinColumns) -> None:
    update_rows(connection, token, [token.c.id == token_id], asdict(pin))


def give_token(
    connection: Connection, token_id: str, account_id: str, pin: PinColumns, *, seed_sealed: bytes, enabled: bool
) -> bool:
    """Give a token to a user by one conditional write. Return False if a user has it already."""
    unassigned = (token.c.id == token_id, token.c.account_id.is_(None))
    values: dict[str, object] = {
        "account_id": account_id,
        "seed_sealed": seed_sealed,
        "domain_id": None,
        "enabled": enabled,
    }
    return update_rows(connection, token, unassigned, values | asdict(pin)) == 1


def take_token_away(connection: Connection, taken: AssignedToken, *, seed_sealed: bytes) -> bool:
    """Take a token from its user by one conditional write. Return False if that user no longer has it.

    The token stays in the user's domain, disabled and without a PIN.
    """
    still_theirs = (token.c.id == taken.id, token.c.account_id == taken.account_id)
    values: dict[str, object] = {
        "account_id": None,
        "seed_sealed": seed_sealed,
        "domain_id": taken.user_domain_id,
        "enabled": False,
        "offline_code_online": False,
    }
    return update_rows(connection, token, still_theirs, values | asdict(PinColumns())) == 1


def count_of_account(connection: Connection, account_id: str) -> int:
    """Return the number of tokens of the account."""
    query = select(func.count()).select_from(token).where(token.c.account_id == account_id)
    return connection.execute(query).scalar_one()


def next_available(
    connection: Connection, like: Token, domain_ids: Iterable[str], now: int, *, also_without_domain: bool
) -> Token | None:
    """Find an unassigned token in these domains that is neither lost nor expired, with a PIN if and only if `like` has.

    Tokens of the same type and length come first, then those with the lowest serial.
    """
    in_domains = token.c.domain_id.in_(domain_ids)
    same = (token.c.type == like.type) & (token.c.digits == like.digits)
    query = (
        _tokens()
        .where(
            token.c.account_id.is_(None),
            token.c.lost.is_(False),
            token.c.expires_at.is_(None) | (token.c.expires_at > now),
            token.c.with_pin == like.with_pin,
            in_domains | token.c.domain_id.is_(None) if also_without_domain else in_domains,
        )
        .order_by(case((same, 0), else_=1), token.c.serial)
        .limit(1)
    )
    return _one(connection, query)


def resynchronise(connection: Connection, token_id: str, step: int, drift: int) -> bool:
    """Use up this step and all before it, and set the drift. Return False if the step was used up already (S02)."""
    unused = (token.c.id == token_id, token.c.last_step < step)
    return update_rows(connection, token, unused, {"last_step": step, "drift": drift}) == 1


def use_up_by_report(connection: Connection, token_id: str, step: int) -> bool:
    """Use up all steps up to this one, because a device reported it. Return False if they were used up before.

    Never lowers the last step (S02). The steps are marked, so that their codes count as no failures (S49). The caller
    has locked the account, so that no success moves the token meanwhile.
    """
    found = find_token_by_id(connection, token_id)
    if found is None:
        return False
    goes_on = found.reported_to == found.last_step
    marked = {"reported_from": found.reported_from if goes_on else found.last_step, "reported_to": step}
    unused = (token.c.id == token_id, token.c.last_step < step)
    return update_rows(connection, token, unused, {"last_step": step, **marked}) == 1


_SCOPE_ID: Final = func.coalesce(account.c.domain_id, token.c.domain_id)


def _tokens() -> Select[*tuple[object, ...]]:
    """Select what `token_of` reads."""
    of_user = (account.c.login, account.c.domain_id.label("user_domain_id"), security_domain.c.name.label("domain"))
    return (
        select(token, *of_user)
        .outerjoin(account, token.c.account_id == account.c.id)
        .outerjoin(security_domain, security_domain.c.id == _SCOPE_ID)
    )


def _one(connection: Connection, query: Select[*tuple[object, ...]]) -> Token | None:
    row = one(intact_rows(connection, query, token))
    return None if row is None else token_of(row)
