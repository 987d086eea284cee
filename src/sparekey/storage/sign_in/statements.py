"""The sign-in path in plain SQL: the facts that a decision needs, and the conditional writes that make it count.

Rules (architecture, rule 5): never read, compare, write. One tokencode has one success because one UPDATE with
`last_step < :step` settles it for all instances. Every guess counts, because failure, lock and effect are written in
the transaction that the answer waits for. Every statement runs the same on SQLite and PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, TextClause, select, text

from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.policy.lockout import LOCKOUT_FIELDS, InterfaceGroup, LockoutPolicy
from sparekey.core.policy.token import TOKEN_FIELDS, TokenPolicy
from sparekey.core.reasons import ChallengeKind, Method, Reason
from sparekey.core.row_seals import SealedKind
from sparekey.core.sign_in.authenticate import NEXT_TOKENCODE_TEXT
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.storage.audit_log.events import INSERT_ROW, INSERT_ROW_FROM, ROW_PREFIX, RowValues, sealed_row
from sparekey.storage.driver import count_changed, fetch_rows
from sparekey.storage.emergency.offline import EmergencyCode, code_of
from sparekey.storage.failure_counts import CountColumns
from sparekey.storage.rows import AnyRow
from sparekey.storage.seal_sides import COUNTS_SEAL, SEAL, kinds_of
from sparekey.storage.sealed_counts import COUNTS_KIND, HeldCounts, believed
from sparekey.storage.sealed_rows import all_intact, intact_rows, seals_of
from sparekey.storage.seals_in_use import SealsInUse
from sparekey.storage.sign_in.counting import clear_count, count_failure, lock_open, lock_unlocked
from sparekey.storage.tables import device, device_code, emergency_code, online_emergency, online_emergency_code
from sparekey.storage.tokens.tokens import TokenColumns

_ACCOUNT_KIND: Final = kinds_of("account")[SEAL]
_TOKEN_KIND: Final = kinds_of("token")[SEAL]
_STEP_KIND: Final = kinds_of("token")["step_seal"]
_DOMAIN_KIND: Final = kinds_of("security_domain")[SEAL]
_LOCKOUT_KIND: Final = kinds_of("lockout_policy")[SEAL]
_POLICY_KIND: Final = kinds_of("token_policy")[SEAL]
_EMERGENCY_KIND: Final = kinds_of("online_emergency")[SEAL]
_ONLINE_CODE_KIND: Final = kinds_of("online_emergency_code")[SEAL]


def _sealed(alias: str, kind: SealedKind, seal: str = SEAL) -> str:
    """Return the sealed columns of a table, and the seal, for a statement."""
    return ", ".join(f"{alias}.{name}" for name in (*kind.columns, seal))


# Columns are read by position, in the slices below: reading by name would take half as long as the statement itself.
# Of each table it takes what its seal covers (S47).
_SNAPSHOT: Final = text(f"""
    SELECT {_sealed("a", _ACCOUNT_KIND)},
           {_sealed("t", _TOKEN_KIND)},
           {_sealed("d", _DOMAIN_KIND)},
           {_sealed("k", _LOCKOUT_KIND)},
           {_sealed("p", _POLICY_KIND)},
           {_sealed("a", COUNTS_KIND, COUNTS_SEAL)},
           {_sealed("t", _STEP_KIND, "step_seal")}, t.reported_from, t.reported_to,
           {_sealed("e", _EMERGENCY_KIND)}
    FROM account a
    JOIN security_domain d ON d.id = a.domain_id
    JOIN lockout_policy k ON k.id = d.lockout_policy_id OR (d.lockout_policy_id IS NULL AND k.is_default)
    JOIN token_policy p ON p.id = d.token_policy_id OR (d.token_policy_id IS NULL AND p.is_default)
    LEFT JOIN token t ON t.account_id = a.id
    LEFT JOIN online_emergency e ON e.token_id = t.id
    WHERE a.login = :login
    ORDER BY t.created_at, t.id
""")  # noqa: S608 -- names of columns


def _after(before: slice, number: int) -> slice:
    return slice(before.stop, before.stop + number)


# Each slice of sealed columns is followed by one place for the seal.
_ACCOUNT: Final = slice(0, len(_ACCOUNT_KIND.columns))
_TOKEN: Final = slice(_ACCOUNT.stop + 1, _ACCOUNT.stop + 1 + len(_TOKEN_KIND.columns))
_DOMAIN: Final = slice(_TOKEN.stop + 1, _TOKEN.stop + 1 + len(_DOMAIN_KIND.columns))
_LOCKOUT: Final = slice(_DOMAIN.stop + 1, _DOMAIN.stop + 1 + len(_LOCKOUT_KIND.columns))
_TOKEN_POLICY: Final = slice(_LOCKOUT.stop + 1, _LOCKOUT.stop + 1 + len(_POLICY_KIND.columns))
_COUNTS: Final = slice(_TOKEN_POLICY.stop + 1, _TOKEN_POLICY.stop + 1 + len(COUNTS_KIND.columns))
_STEPS: Final = slice(_COUNTS.stop + 1, _COUNTS.stop + 1 + len(_STEP_KIND.columns))
_REPORTED: Final = slice(_STEPS.stop + 1, _STEPS.stop + 3)
_EMERGENCY: Final = _after(_REPORTED, len(_EMERGENCY_KIND.columns))
_ID: Final = _TOKEN.start
_ACCOUNT_COLUMNS: Final = ("id", "login", "domain_id", "enabled", "expires_at")
_of_account: Final = itemgetter(*map(_ACCOUNT_KIND.columns.index, _ACCOUNT_COLUMNS))
_of_emergency: Final = itemgetter(*map(_EMERGENCY_KIND.columns.index, ("kind", "if_available", "expires_at")))
_TOKEN_COLUMNS: Final = (
    "id",
    "serial",
    "type",
    "digits",
    "interval",
    "algorithm",
    "seed_sealed",
    "enabled",
    "lost",
    "expires_at",
    "with_pin",
    "pin_sealed",
    "pin_salt",
    "pin_memory",
    "pin_passes",
    "pin_must_change",
    "pin_set_at",
    "offline_code_online",
)
_of_token: Final = itemgetter(*map(_TOKEN_KIND.columns.index, _TOKEN_COLUMNS))
_POLICY_FIELDS: Final = len(_POLICY_KIND.columns) - len(TOKEN_FIELDS)  # where they begin; so they do in each policy

# Locks the account, and changes no row if it was disabled, or if any failure was counted or cleared since the snapshot.
_TAKE_UNCHANGED: Final = text("""
    UPDATE account SET counts_version = counts_version
    WHERE id = :account_id AND enabled AND counts_version = :counts_version
""")

_USE_STEP: Final = text("""
    UPDATE token SET last_step = :step, drift = :drift, step_seal = :step_seal
    WHERE id = :token_id AND account_id = :account_id AND last_step < :step AND enabled AND NOT lost
""")

# The three writes of an accepted tokencode in one statement, which is a transaction of its own. The account is locked
# before its token, as everywhere. If one of the first two changes no row, the next ones do not either.
_ACCEPT_AT_ONCE: Final = text(f"""
    WITH unchanged AS ({_TAKE_UNCHANGED} RETURNING id),
         used AS ({_USE_STEP} AND EXISTS (SELECT FROM unchanged) RETURNING id)
    {INSERT_ROW_FROM} used
""")

_USE_CODE: Final = text("""
    UPDATE emergency_code SET used_at = :now
    WHERE id = :code_id AND not_after > :now
      AND EXISTS (SELECT 1 FROM token t WHERE t.id = :token_id AND t.enabled AND t.offline_code_online)
""")

_USE_ONLINE_CODE: Final = text("""
    UPDATE online_emergency_code SET used_at = :now, seal = :used_seal
    WHERE id = :code_id AND token_id = :token_id
      AND EXISTS (SELECT 1 FROM online_emergency e JOIN token t ON t.id = e.token_id
                  WHERE e.token_id = :token_id AND t.enabled AND (e.expires_at IS NULL OR e.expires_at > :now)
                    AND (e.kind = 'fixed' OR online_emergency_code.used_at IS NULL))
""")

# The access ends with its codes, in the transaction that uses up the token's code.
_END_EMERGENCY: Final = (
    text("DELETE FROM online_emergency_code WHERE token_id = :token_id"),
    text("DELETE FROM online_emergency WHERE token_id = :token_id"),
)

_COUNT_REPLAY_ONCE: Final = text("""
    UPDATE token SET replay_step = :step
    WHERE id = :token_id AND replay_step < :step AND NOT (reported_from < :step AND :step <= reported_to)
""")

# After a challenge, whose code was used up when it was asked. An emergency code is valid even for a lost token.
_TAKE_TOKEN: Final = text("""
    UPDATE token SET last_step = last_step
    WHERE id = :token_id AND account_id = :account_id AND enabled AND (NOT lost OR :without_token)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyTerms:
    """The online emergency access of a token."""

    kind: EmergencyKind
    if_available: IfAvailable
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInToken(TokenColumns):
    """A token of the account that signs in, with its online emergency access if there is any."""

    emergency: EmergencyTerms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAccount(CountColumns):
    """The account that signs in, with its tokens and the policies of its domain, from one statement."""

    id: str
    login: str
    domain_id: str
    enabled: bool
    expires_at: int | None
    lockout: LockoutPolicy
    token_policy: TokenPolicy
    tokens: tuple[SignInToken, ...]

    @property
    def in_emergency(self) -> bool:
        """Return True if any of the user's tokens has online emergency access."""
        return any(token.emergency is not None for token in self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineCode:
    """A code of online emergency access, with the account that it signs in to."""

    id: str
    token_id: str
    account_id: str
    code_sealed: bytes


def find_sign_in_account(connection: Connection, login: str) -> SignInAccount | None:
    """Return the account with its tokens, oldest first. None if no user has this login.

    What was altered in the database does not exist: a token, or the user if it is the account, its domain or a policy.
    """
    rows = fetch_rows(connection, _SNAPSHOT, {"login": login})
    if not rows:
        return None
    seals = seals_of(connection)
    rows = [row for row in rows if _policies_hold(seals, row)]
    if not rows or not _holds(seals, _ACCOUNT_KIND, rows[0], _ACCOUNT) or not _agree(seals, rows):
        return None
    first = rows[0]
    account_id, login, domain_id, enabled, expires_at = _of_account(first[_ACCOUNT])
    return SignInAccount(
        id=account_id,
        login=login,
        domain_id=domain_id,
        enabled=bool(enabled),
        expires_at=expires_at,
        **believed(connection, first[_COUNTS], first[_COUNTS.stop]),
        lockout=_lockout_policy(first[_LOCKOUT][_POLICY_FIELDS:]),
        token_policy=_token_policy(first[_TOKEN_POLICY][_POLICY_FIELDS:]),
        tokens=tuple(
            [
                _token(seals, account_id, row)
                for row in rows
                if row[_ID] is not None
                and _holds(seals, _TOKEN_KIND, row, _TOKEN)
                and _holds(seals, _STEP_KIND, row, _STEPS)
            ]
        ),
    )


def _holds(seals: SealsInUse, kind: SealedKind, row: AnyRow, place: slice) -> bool:
    values = row[place]
    if seals.seals.holds(kind, values, row[place.stop]):
        return True
    seals.note(kind.table, str(values[0]))
    return False


def _policies_hold(seals: SealsInUse, row: AnyRow) -> bool:
    """Return True if domain and policies were not altered. They are few, so that they are verified once."""
    for kind, place in ((_DOMAIN_KIND, _DOMAIN), (_LOCKOUT_KIND, _LOCKOUT), (_POLICY_KIND, _TOKEN_POLICY)):
        if not seals.seals.holds_again(kind, row[place], row[place.stop]):
            seals.note(kind.name, str(row[place.start]))
            return False
    return True


def _agree(seals: SealsInUse, rows: Sequence[AnyRow]) -> bool:
    """Return True if all rows have the same policies: an older row that was put back may be a second default."""
    for kind, place in ((_LOCKOUT_KIND, _LOCKOUT), (_POLICY_KIND, _TOKEN_POLICY)):
        ids = {row[place.start] for row in rows}
        if len(ids) > 1:
            for policy_id in ids:
                seals.note(kind.name, str(policy_id))
            return False
    return True


def codes_on_devices(connection: Connection, account_id: str) -> list[EmergencyCode]:
    """Return the versions of the account's offline emergency tokencodes that some device may still hold.

    They are the one that the device has confirmed, and the one that is assigned to it.
    """
    held = (device_code.c.code_id == emergency_code.c.id) | (device_code.c.held_code_id == emergency_code.c.id)
    query = (
        select(emergency_code)
        .join(device_code, (device_code.c.owner_id == emergency_code.c.token_id) & held)
        .join(device, device.c.id == device_code.c.device_id)
        .where(emergency_code.c.account_id == account_id, device.c.revoked_at.is_(None))
        .order_by(emergency_code.c.version)
    )
    rows = intact_rows(connection, query, emergency_code, device_code, device)
    return list({row.id: code_of(row) for row in rows}.values())


def online_codes(connection: Connection, account_id: str) -> list[OnlineCode]:
    """Return the unused codes of the account's online emergency access, which may have expired."""
    code, access = online_emergency_code, online_emergency
    query = (
        select(code.c.id, code.c.token_id, access.c.account_id, code.c.code_sealed)
        .join(access, access.c.token_id == code.c.token_id)
        .where(access.c.account_id == account_id, (access.c.kind == EmergencyKind.FIXED) | code.c.used_at.is_(None))
        .order_by(code.c.id)
    )
    return all_intact(OnlineCode, connection, query, code, access)


# Policies are few and immutable, so each is validated once and not at every sign-in.
@lru_cache(maxsize=64)
def _lockout_policy(values: tuple[object, ...]) -> LockoutPolicy:
    """`values`: in the order of the fields."""
    return LockoutPolicy.of(dict(zip(LOCKOUT_FIELDS, values, strict=True)))


@lru_cache(maxsize=64)
def _token_policy(values: tuple[object, ...]) -> TokenPolicy:
    """`values`: in the order of the fields."""
    return TokenPolicy.of(dict(zip(TOKEN_FIELDS, values, strict=True)))


def _token(seals: SealsInUse, account_id: str, row: AnyRow) -> SignInToken:
    """Read the token from a row of the snapshot. Plain SQL on SQLite has no booleans."""
    (
        token_id,
        serial,
        kind,
        digits,
        interval,
        algorithm,
        seed_sealed,
        enabled,
        lost,
        expires_at,
        with_pin,
        pin_sealed,
        pin_salt,
        pin_memory,
        pin_passes,
        pin_must_change,
        pin_set_at,
        offline_code_online,
    ) = _of_token(row[_TOKEN])
    _, last_step, drift = row[_STEPS]
    reported_from, reported_to = row[_REPORTED]
    return SignInToken(
        id=token_id,
        account_id=account_id,
        serial=serial,
        type=kind,
        digits=digits,
        interval=interval,
        algorithm=algorithm,
        seed_sealed=seed_sealed,
        drift=drift,
        last_step=last_step,
        reported_from=reported_from,
        reported_to=reported_to,
        enabled=bool(enabled),
        lost=bool(lost),
        expires_at=expires_at,
        with_pin=bool(with_pin),
        pin_sealed=pin_sealed,
        pin_salt=pin_salt,
        pin_memory=pin_memory,
        pin_passes=pin_passes,
        pin_must_change=bool(pin_must_change),
        pin_set_at=pin_set_at,
        offline_code_online=bool(offline_code_online),
        emergency=_emergency(seals, row),
    )


def _emergency(seals: SealsInUse, row: AnyRow) -> EmergencyTerms | None:
    kind, if_available, expires_at = _of_emergency(row[_EMERGENCY])
    if kind is None or not _holds(seals, _EMERGENCY_KIND, row, _EMERGENCY):
        return None
    return EmergencyTerms(kind=EmergencyKind(kind), if_available=IfAvailable(if_available), expires_at=expires_at)


def commit(
    connection: Connection,
    outcome: Outcome,
    now: int,
    policy: LockoutPolicy,
    group: InterfaceGroup = InterfaceGroup.ELSEWHERE,
) -> Outcome:
    """Write the effects of the outcome in the caller's transaction, and return the final outcome.

    An accept that lost a race becomes the refusal or challenge that it would have been if it had come second. `group`:
    the count of failures that decides and changes.
    """
    if isinstance(outcome, Granted):
        outcome = _grant(connection, outcome, now, policy, group)
    elif isinstance(outcome, Asked):
        outcome = _ask(connection, outcome, now, policy, group)
    if isinstance(outcome, Denied) and outcome.counted and outcome.account_id is not None:
        return _count(connection, outcome, outcome.account_id, now, policy, group)
    return outcome


def accept_at_once(connection: Connection, granted: Granted, now: int, audit_row: RowValues) -> bool:
    """Write the effects of an accepted tokencode together with its audit row. `connection`: for a write at once.

    Its snapshot had no failures to clear. Return False if the accept lost a race: nothing is written then, and the
    caller calls `commit` for the final outcome.
    """
    values = _values(connection, granted, now)
    row = sealed_row(connection, audit_row)
    if connection.dialect.name == "postgresql":
        values |= {ROW_PREFIX + name: value for name, value in row.items()}
        return count_changed(connection, _ACCEPT_AT_ONCE, values) == 1
    done = _one_row(connection, _TAKE_UNCHANGED, values) and _one_row(connection, _USE_STEP, values)
    if not done:
        connection.rollback()
        return False
    return _one_row(connection, INSERT_ROW, row)


def end_emergency(connection: Connection, token_id: str) -> bool:
    """Delete the online emergency access of a token with all its codes. Return True if there was any."""
    ended = [connection.execute(statement, {"token_id": token_id}).rowcount for statement in _END_EMERGENCY]
    return ended[-1] > 0


def complete(
    connection: Connection,
    granted: Granted,
    now: int,
    policy: LockoutPolicy,
    group: InterfaceGroup = InterfaceGroup.ELSEWHERE,
) -> Outcome:
    """Commit a success whose code was used up when its challenge was asked. Nothing else is used up."""
    held = lock_open(connection, granted.account_id, now, policy, group)
    if held is None:
        return Denied(Reason.LOCKED, granted.account_id, granted.token_id)
    if not _one_row(connection, _TAKE_TOKEN, _values(connection, granted, now)):
        return Denied(Reason.TOKEN_DISABLED, granted.account_id, granted.token_id)
    # Last: what has become a refusal leaves the count as it is (S06).
    return _cleared(connection, granted, held, group)


def _grant(connection: Connection, granted: Granted, now: int, policy: LockoutPolicy, group: InterfaceGroup) -> Outcome:
    held = lock_open(connection, granted.account_id, now, policy, group)
    if held is None:
        return Denied(Reason.LOCKED, granted.account_id, granted.token_id)
    if held.count_at(group).asks_next(granted.asks_after):
        return _suspected(granted)
    if not _use(connection, granted, now):
        return _lost_race(granted)
    if granted.ends_emergency:
        end_emergency(connection, granted.token_id or "")
    # Last: what has become a refusal leaves the count as it is (S06).
    return _cleared(connection, granted, held, group)


def _suspected(granted: Granted) -> Outcome:
    """Ask for the next tokencode, or deny, after failures in between: parallel guesses gain nothing."""
    if granted.step is None or granted.token_id is None:
        return Denied(Reason.LOCKED, granted.account_id, granted.token_id)
    return Asked(ChallengeKind.NEXT_TOKENCODE, granted, NEXT_TOKENCODE_TEXT)


def _cleared(connection: Connection, granted: Granted, held: HeldCounts, group: InterfaceGroup) -> Granted:
    """Clear the count of these interfaces, and return the success with the version of the counts for its event."""
    version = clear_count(connection, held, group)
    if version is None:
        return replace(granted, counts_version=held.counts_version)
    return replace(granted, counts_version=version, cleared=True)


def _use(connection: Connection, granted: Granted, now: int) -> bool:
    """Use up the passcode. Return False if another attempt has used it up."""
    values = _values(connection, granted, now) | _used_seal(connection, granted, now)
    return _one_row(connection, _use_of(granted)[0], values)


def _lost_race(granted: Granted) -> Denied:
    reason = _use_of(granted)[1]
    return Denied(reason, granted.account_id, granted.token_id, counted=True, replay_step=granted.step)


def _use_of(granted: Granted) -> tuple[TextClause, Reason]:
    """Return the statement that uses up the passcode, and the reason to deny if another attempt has used it up."""
    if granted.step is not None:
        return _USE_STEP, Reason.ALREADY_USED
    if granted.method is Method.ONLINE_EMERGENCY:
        return _USE_ONLINE_CODE, Reason.EMERGENCY_ENDED
    return _USE_CODE, Reason.EMERGENCY_CODE_EXPIRED


def _used_seal(connection: Connection, granted: Granted, now: int) -> dict[str, object]:
    """Return the seal of a code of online emergency access that is used now. Its row was verified in the snapshot."""
    if granted.method is not Method.ONLINE_EMERGENCY:
        return {}
    values = {"id": granted.code_id, "token_id": granted.token_id, "used_at": now}
    seals = seals_of(connection).seals
    return {"used_seal": seals.seal(_ONLINE_CODE_KIND, [values[name] for name in _ONLINE_CODE_KIND.columns])}


def _ask(connection: Connection, asked: Asked, now: int, policy: LockoutPolicy, group: InterfaceGroup) -> Outcome:
    """Commit a challenge after a right code. Failures still count until the sign-in is complete."""
    granted = asked.granted
    if lock_open(connection, granted.account_id, now, policy, group) is None:
        return Denied(Reason.LOCKED, granted.account_id, granted.token_id)
    if asked.uses_code and not _use(connection, granted, now):
        return _lost_race(granted)
    return asked


def _count(
    connection: Connection, denied: Denied, account_id: str, now: int, policy: LockoutPolicy, group: InterfaceGroup
) -> Denied:
    lock = lock_unlocked if denied.replay_step is None else lock_open
    held = lock(connection, account_id, now, policy, group)
    if held is None:
        # The answer for an account that was locked in the meantime does not depend on the guess (S06).
        return Denied(Reason.LOCKED, account_id, denied.token_id, misread=denied.misread)
    if denied.replay_step is not None:
        repeat = {"token_id": denied.token_id, "step": denied.replay_step}
        if not _one_row(connection, _COUNT_REPLAY_ONCE, repeat):
            return replace(denied, counted=False)
    return replace(denied, counts_version=count_failure(connection, held, now, policy, group))


def _step_seal(connection: Connection, granted: Granted) -> bytes | None:
    """Return the seal of the token's place after this success; None: it uses up no step."""
    if granted.step is None:
        return None
    values = {"id": granted.token_id, "last_step": granted.step, "drift": granted.drift}
    return seals_of(connection).seals.seal(_STEP_KIND, [values[name] for name in _STEP_KIND.columns])


def _values(connection: Connection, granted: Granted, now: int) -> dict[str, object]:
    return {
        "step_seal": _step_seal(connection, granted),
        "account_id": granted.account_id,
        "token_id": granted.token_id,
        "step": granted.step,
        "drift": granted.drift,
        "code_id": granted.code_id,
        "without_token": granted.method is not Method.TOKENCODE,
        "counts_version": granted.counts_version,
        "now": now,
    }


def _one_row(connection: Connection, statement: TextClause, values: Mapping[str, object]) -> bool:
    return connection.execute(statement, values).rowcount == 1
