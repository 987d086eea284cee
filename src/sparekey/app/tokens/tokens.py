"""Tokens: add, show, set a PIN, enable, disable, mark as lost or found. `life_cycle` assigns and removes them.

Each change that makes a device's offline data wrong raises the user's generation in its own transaction
(offline-day.md, server rule 3). A change that takes away a means of signing in ends the user's sessions as
administrator: another person who has the token, or knew the PIN, may have begun them.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import NamedEvent, with_names
from sparekey.app.authorisation import verify_somewhere
from sparekey.app.emergency.second_person import act_on, acting, facts_of, verify_second_person
from sparekey.app.hidden_names import hidden_names_counted, name_taken
from sparekey.app.instance import TOP_DOMAIN, Instance, log, new_id
from sparekey.app.lookup import get_account, get_assigned_token, get_scope, get_token
from sparekey.app.notices import notify_user
from sparekey.app.policies_in_force import policy_in
from sparekey.app.sessions.ends import end_sessions
from sparekey.app.sign_in.pin_changes import former_pins, log_pin_set, store_pin, take_pin
from sparekey.app.snapshots import token_owner
from sparekey.app.super_administrators import one_remains
from sparekey.app.tokens.life_cycle import verify_room
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.acts import OperatorAct, TokenOfAct
from sparekey.core.errors import BadInput, Conflict
from sparekey.core.list_order import read_order
from sparekey.core.names import verify_serial
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.search_words import typed_words, verify_length
from sparekey.core.sign_in.pins import PinError, new_verifier, rule_of, verify_new_pin
from sparekey.core.tokens import TOKEN_TYPES, Hotp, OtpToken, Parameters, TokenError, Totp
from sparekey.core.tokens.totp import SEED_BYTES
from sparekey.json_value import Json
from sparekey.secret import Secret
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices
from sparekey.storage.emergency import online as online_emergency
from sparekey.storage.people import accounts
from sparekey.storage.search.plan import run
from sparekey.storage.search.queries import ListPage, Search
from sparekey.storage.search.tokens import TOKEN_ORDERS, by_serial, by_user, tokens_found
from sparekey.storage.sign_in import challenges
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken, Token, UnusedToken, token_of

SomeToken = TypeVar("SomeToken", bound=Token)
Find = Callable[[Connection], SomeToken]  # raises an error if the actor may not do this
Verify = Callable[[Connection, AssignedToken], None]  # raises an error if an approval is needed
CountsFrom = Callable[[Connection], int | None]  # the argument of `pin_changes.store_pin`

_SERIAL_DIGITS = 8
_MADE_HERE: Final = (Totp.kind, Hotp.kind)  # tokens of other types can only be imported
_LARGEST_COUNTER: Final = 2**31
_STATES: Final = ("", "assigned", "unassigned", "disabled", "lost", "expired")
MOST_AT_ONCE: Final = 200
ISSUER: Final = "Sparekey"  # an authenticator app shows it beside the login


@dataclass(frozen=True)
class NewToken:
    """The values of a token to add; `seed` None: a random one of the hash's own size.

    An event-based token (`type` hotp) has no interval; `counter` is that of its next code.
    """

    digits: int = 6
    interval: int = 30
    algorithm: str = "sha1"
    with_pin: bool = True
    seed: Secret[bytes] | None = None
    serial: str = ""
    expires_at: int | None = None
    type: str = Totp.kind
    counter: int = 0


@dataclass(frozen=True)
class AddedToken:
    """The data that go into the token. A seed leaves the server only this once."""

    serial: str
    type: str
    parameters: Parameters
    counter: int = 0

    @property
    def otp(self) -> OtpToken:
        """Return the token as it computes its codes."""
        return TOKEN_TYPES[self.type].of(self.parameters)

    def otpauth(self, login: str, issuer: str) -> Secret[str]:
        """Return the key URI for an authenticator app, which contains the seed.

        Raises Conflict for a type without such a URI.
        """
        match self.otp:
            case Totp() as totp:
                return totp.otpauth(login, issuer)
            case Hotp() as hotp:
                return hotp.otpauth(login, issuer, self.counter)
        raise Conflict(f"authenticator apps do not support {self.type} tokens", "give the seed to a token of this type")


@dataclass(frozen=True)
class TokenView:
    serial: str
    type: str
    login: str | None
    digits: int
    interval: int
    algorithm: str
    with_pin: bool
    pin_set: bool
    enabled: bool
    lost: bool
    expires_at: int | None
    offline_code_online: bool
    pin_must_change: bool = False
    pin_set_at: int | None = None
    drift: int = 0  # of its clock, in steps
    created_at: int = 0
    domain: str = ""


@dataclass(frozen=True)
class TokenSearch:
    """Filters of a token search, combined with AND. An empty value matches everything.

    `text`: the beginning of a serial number in any case, or beginnings of words of the user's login, name or mail
    address. `domain`: this one and all below it. `type`: such as totp. `state`: assigned, unassigned, disabled, lost or
    expired. `order`: serial or expiry (tokens that never expire come last); a leading - reverses it.
    """

    text: str = ""
    domain: str = ""
    type: str = ""
    state: str = ""
    order: str = ""


@dataclass(frozen=True)
class TokenDetails(TokenView):
    """All data of a token except its secrets."""

    online_emergency: str = ""  # fixed or one-time, while there is such access
    online_emergency_expires: int | None = None
    devices: tuple[str, ...] = ()  # devices that hold its days, as far as the reader sees them


@dataclass(frozen=True)
class TokenWithEvents:
    """A token for its page. `rows`: its recent events. `pin_rule`: the rule for a new PIN; "" if it is unassigned."""

    details: TokenDetails
    rows: Sequence[NamedEvent]
    pin_rule: str


def add_token(instance: Instance, actor: Actor, login: str, wish: NewToken, *, now: int) -> AddedToken:
    """Add an enabled token for a user. If it needs a PIN, an administrator sets it, or the user at the first sign-in.

    Raises BadInput for wrong values, and Conflict as `insert_token` does.
    """
    parameters = parameters_of(wish)
    if wish.serial:
        verify_serial(wish.serial)
    with hidden_names_counted(instance, actor, now), acting(instance) as connection:
        account = get_account(connection, actor, login, Permission.TOKEN_ASSIGN)
        accounts.lock_accounts(connection, [account.id])
        asked = act_on(connection, OperatorAct.TOKEN_ADDED, account.id, TokenOfAct("", wish.with_pin, pin_set=False))
        verify_second_person(connection, actor, account, asked, now=now)
        return insert_token(connection, instance, actor, login, wish, parameters, now)


def insert_token(
    connection: Connection,
    instance: Instance,
    actor: Actor,
    login: str,
    wish: NewToken,
    parameters: Parameters,
    now: int,
) -> AddedToken:
    """Add a token as `add_token` does, in the caller's transaction. The caller has verified the values.

    Raises Conflict if the serial number exists, or if the user has the most tokens.
    """
    token_id, last_step = new_id(), TOKEN_TYPES[wish.type].unused + wish.counter
    account = get_account(connection, actor, login, Permission.TOKEN_ASSIGN)
    accounts.lock_accounts(connection, [account.id])
    verify_room(connection, account.id, login)
    serial = wish.serial or _free_serial(connection)
    existing = tokens.find_token(connection, serial)
    if existing is not None:
        raise name_taken(actor, existing.scope_id, f"a token {serial!r} already exists", "choose another serial number")
    owner = token_owner(account.id, token_id)
    tokens.insert_token(
        connection,
        UnusedToken(
            id=token_id,
            serial=serial,
            type=wish.type,
            account_id=account.id,
            domain_id=None,
            digits=parameters.digits,
            interval=parameters.interval,
            algorithm=parameters.algorithm,
            seed_sealed=instance.vault.seal("token.seed_sealed", token_id, owner, parameters.seed.reveal()),
            last_step=last_step,
            enabled=True,
            expires_at=wish.expires_at,
            with_pin=wish.with_pin,
            created_at=now,
        ),
    )
    devices.raise_generation(connection, account.id)
    log(
        connection,
        now,
        actor,
        Action.TOKEN_ADDED,
        account=account.id,
        token=token_id,
        serial=serial,
        step=last_step,
        expires=wish.expires_at,
    )
    notify_user(connection, now, account.id, Notice.TOKEN_ASSIGNED, serial=serial)
    return AddedToken(serial, wish.type, replace(parameters, serial=serial), wish.counter)


def parameters_of(wish: NewToken) -> Parameters:
    """Return the parameters of the token. Raises BadInput if no token of this type can have them."""
    if wish.type not in _MADE_HERE:
        raise BadInput(f"{wish.type!r} is not a type of token", f"give one of: {', '.join(_MADE_HERE)}")
    if (wish.counter and wish.type != Hotp.kind) or not 0 <= wish.counter <= _LARGEST_COUNTER:
        raise BadInput(
            "only an event-based token has a counter, of at most 2**31", "leave it out, or choose the type hotp"
        )
    seed = wish.seed or Secret(secrets.token_bytes(SEED_BYTES.get(wish.algorithm, 20)))
    interval = 0 if wish.type == Hotp.kind else wish.interval
    parameters = Parameters(seed, wish.serial, wish.digits, interval, wish.algorithm)
    try:
        TOKEN_TYPES[wish.type].of(parameters)
    except TokenError as error:
        raise BadInput(str(error), "see `sparekey token add --help`") from error
    return parameters


def list_tokens(
    instance: Instance, actor: Actor, limit: int = 100, after: str = "", login: str | None = None
) -> list[TokenView]:
    """Return the tokens by serial, from the one after `after`; only those of the user `login`, if given."""
    within = verify_somewhere(actor, Permission.TOKEN_VIEW)
    with instance.database.read() as connection:
        account_id = get_account(connection, actor, login, Permission.TOKEN_VIEW).id if login else None
        found = tokens.list_tokens(connection, limit, after, account_id, within)
        return [_view(token) for token in found]


def search_tokens(
    instance: Instance, actor: Actor, wanted: TokenSearch, limit: int = 50, after: str = "", *, now: int
) -> list[TokenView]:
    """Return the tokens in the order of the search, from the one after the serial `after`.

    A token is found by its user's name only where the actor may view users. Raises BadInput for an unknown state or
    order.
    """
    with instance.database.read() as connection:
        searches = searched(connection, actor, wanted, limit, after, now)
        found = (token_of(row) for rows in run(connection, *searches) for row in rows)
        return merged(searches, found)


def searched(
    connection: Connection, actor: Actor, wanted: TokenSearch, limit: int, after: str, now: int
) -> list[Search]:
    """Return the searches in the database: by serial, and by user if the text has words.

    Raises BadInput as `search_tokens`.
    """
    verify_length(wanted.text)
    if wanted.state not in _STATES:
        raise BadInput(f"{wanted.state!r} is not a state of a token", f"give one of: {', '.join(_STATES[1:])}")
    within = get_scope(connection, actor, wanted.domain, Permission.TOKEN_VIEW)
    page = ListPage(read_order(wanted.order, TOKEN_ORDERS, "tokens"), limit, after)
    every = tokens_found(connection, wanted.state, wanted.type, within, page, now)
    beginning, words = wanted.text.strip(), typed_words(wanted.text)
    if not beginning:
        return [every]
    users_within = actor.domains_with(Permission.USER_VIEW)
    found = [by_serial(every, beginning)]
    if words and (users_within is None or users_within):
        found.append(by_user(every, words, users_within))
    return found


def merged(searches: Sequence[Search], found: Iterable[Token]) -> list[TokenView]:
    """Return the tokens that the searches of `searched` found, each once, in the order of the list."""
    if not searches:
        return []
    by_serial = {token.serial: token for token in found}
    ordered = searches[0].listing.in_order([*by_serial.values()])
    return [_view(token) for token in ordered[: searches[0].limit]]


def show_token(instance: Instance, actor: Actor, serial: str) -> TokenDetails:
    with instance.database.read() as connection:
        return _details(connection, actor, get_token(connection, actor, serial, Permission.TOKEN_VIEW))


def show_token_with_events(
    instance: Instance, actor: Actor, serial: str, limit: int = 25, before: int | None = None
) -> TokenWithEvents:
    """Return the token with its events, newest first (events with ids less than `before`).

    Events about users outside the reader's domains are left out: such a user may have had the token before.
    """
    with instance.database.read() as connection:
        token = get_token(connection, actor, serial, Permission.TOKEN_VIEW)
        rows = _history(connection, actor, token, limit, before)
        policy = policy_in(connection, token.user_domain_id, TokenPolicy) if token.user_domain_id else None
        return TokenWithEvents(_details(connection, actor, token), rows, rule_of(policy) if policy else "")


def set_pin(
    instance: Instance, actor: Actor, serial: str, pin: Secret[str], *, must_change: bool = False, now: int
) -> None:
    """Set or change the PIN of a token. `must_change`: the user must choose another PIN at the next sign-in.

    Raises BadInput if policy does not allow the PIN, Conflict for a token that is used without a PIN, and
    ApprovalNeeded.
    """

    def verify(connection: Connection, token: AssignedToken) -> None:
        _verify_second_person(connection, actor, OperatorAct.PIN_SET, token, now)

    set_pin_of(
        instance,
        actor,
        lambda connection: _with_pin(connection, actor, serial),
        pin,
        must_change=must_change,
        counts_from=lambda _: None,
        verify=verify,
        now=now,
    )


def set_pin_of(
    instance: Instance,
    actor: Actor,
    find: Find[AssignedToken],
    pin: Secret[str],
    *,
    must_change: bool = False,
    session: str = "",
    counts_from: CountsFrom,
    verify: Verify = lambda *_: None,
    now: int,
) -> None:
    """Set the PIN of the assigned token that `find` returns.

    `find` raises if the actor may not do this. It is called again under the lock of the token's user, and then
    `verify`. `session`: the id of a session that does not end. Raises BadInput if policy does not allow the PIN.
    """
    with instance.database.read() as connection:
        token = find(connection)
        policy = policy_in(connection, token.user_domain_id, TokenPolicy)
        former = former_pins(instance, token)
    try:
        # Hashed before the transaction, so that no request waits for the one writer of an SQLite database.
        verify_new_pin(pin.reveal(), policy, token.login, former)
        verifier = new_verifier(pin.reveal())
    except PinError as error:
        raise BadInput(str(error), "choose another PIN") from error
    with acting(instance) as connection:
        token = find_locked(connection, find)
        verify(connection, token)
        store_pin(
            connection, instance, token, verifier, now, must_change=must_change, counts_from=counts_from(connection)
        )
        end_sessions(connection, actor, token.account_id, "a PIN was set", now, token_id=token.id, session=session)
        log_pin_set(connection, actor, token, now, must_change=must_change)


def clear_pin(instance: Instance, actor: Actor, serial: str, *, now: int) -> None:
    """Remove the PIN. At the next sign-in, the tokencode alone leads to the challenge for a new PIN.

    Raises ApprovalNeeded, like all acts here that give an operator a factor of the user.
    """
    with acting(instance) as connection:
        token = find_locked(connection, lambda connection: _with_pin(connection, actor, serial))
        if token.pin_sealed is None:
            return
        _verify_second_person(connection, actor, OperatorAct.PIN_CLEARED, token, now)
        take_pin(connection, instance, token)
        end_sessions(connection, actor, token.account_id, "a PIN was cleared", now, token_id=token.id)
        log(
            connection,
            now,
            actor,
            Action.TOKEN_PIN_CLEARED,
            account=token.account_id,
            token=token.id,
            serial=token.serial,
        )
        notify_user(connection, now, token.account_id, Notice.PIN_CLEARED, serial=token.serial)


def set_enabled(instance: Instance, actor: Actor, serial: str, *, enabled: bool, now: int) -> None:
    """Enable or disable a token. The codes of a disabled token are refused, and so is its emergency tokencode."""
    set_enabled_at_once(instance, actor, [serial], enabled=enabled, now=now)


def set_enabled_at_once(
    instance: Instance, actor: Actor, serials: Collection[str], *, enabled: bool, now: int
) -> list[str]:
    """Enable or disable several tokens: all of them, or none if one is refused.

    Return the serials of those that changed.

    Raises BadInput if there are more than MOST_AT_ONCE.
    """
    if len(serials) > MOST_AT_ONCE:
        raise BadInput(f"more than {MOST_AT_ONCE} tokens are selected", "select fewer")
    with acting(instance) as connection:
        with one_remains(connection, now):
            # in one order, so that two requests at the same time do not wait for each other
            found = [get_token(connection, actor, serial, Permission.TOKEN_EDIT) for serial in sorted(set(serials))]
            changed = [token for token in found if token.enabled is not enabled]
            accounts.lock_accounts(connection, [token.account_id for token in changed if token.account_id is not None])
            for token in changed:
                if enabled and isinstance(token, AssignedToken):
                    _verify_second_person(connection, actor, OperatorAct.TOKEN_ENABLED, token, now)
                tokens.update_token(connection, token.id, enabled=enabled)
        for token in changed:
            if not enabled:
                end_sessions(connection, actor, token.account_id, "a token was disabled", now, token_id=token.id)
                challenges.delete_of_token(connection, token.id)
            _touched(connection, token, actor, Action.TOKEN_ENABLED if enabled else Action.TOKEN_DISABLED, now)
            notice = Notice.TOKEN_ENABLED if enabled else Notice.TOKEN_DISABLED
            notify_user(connection, now, token.account_id, notice, serial=token.serial)
    return [token.serial for token in changed]


def set_lost(instance: Instance, actor: Actor, serial: str, *, lost: bool, now: int) -> None:
    """Mark a token as lost or found.

    The codes of a lost token are refused; its offline emergency tokencode still works.
    """
    with acting(instance) as connection:
        token = find_locked(connection, lambda connection: get_token(connection, actor, serial, Permission.TOKEN_EDIT))
        if token.lost and not lost and isinstance(token, AssignedToken):
            _verify_second_person(connection, actor, OperatorAct.TOKEN_FOUND, token, now)
        mark_lost(connection, actor, token, lost=lost, now=now)


def mark_lost(connection: Connection, actor: Actor, token: Token, *, lost: bool, now: int) -> None:
    """Mark a token as `set_lost` does, in the caller's transaction. The caller has verified the actor's permission."""
    if token.lost is lost:
        return
    if token.account_id is not None:
        accounts.lock_accounts(connection, [token.account_id])
    tokens.update_token(connection, token.id, lost=lost)
    if lost:
        end_sessions(connection, actor, token.account_id, "a token was reported lost", now, token_id=token.id)
        challenges.delete_of_token(connection, token.id)
    _touched(connection, token, actor, Action.TOKEN_LOST if lost else Action.TOKEN_FOUND, now)
    notice = Notice.TOKEN_LOST if lost else Notice.TOKEN_FOUND
    notify_user(connection, now, token.account_id, notice, serial=token.serial)


def set_expiry(instance: Instance, actor: Actor, serial: str, *, expires_at: int | None, now: int) -> None:
    """Set the unix second from which the token and all its codes are refused; None: never."""
    with acting(instance) as connection:
        with one_remains(connection, now):
            token = find_locked(
                connection, lambda connection: get_token(connection, actor, serial, Permission.TOKEN_EDIT)
            )
            if token.expires_at == expires_at:
                return
            expired = token.expires_at is not None and token.expires_at <= now
            prolonged = expired and (expires_at is None or expires_at > now)
            if prolonged and isinstance(token, AssignedToken):
                _verify_second_person(connection, actor, OperatorAct.TOKEN_PROLONGED, token, now)
            tokens.update_token(connection, token.id, expires_at=expires_at)
        if expires_at is not None and expires_at <= now:
            end_sessions(connection, actor, token.account_id, "a token expired", now, token_id=token.id)
        if prolonged:
            notify_user(connection, now, token.account_id, Notice.TOKEN_ENABLED, serial=token.serial)
        _touched(connection, token, actor, Action.TOKEN_EXPIRY_SET, now, expires=expires_at, prolonged=prolonged)


def _details(connection: Connection, actor: Actor, token: Token) -> TokenDetails:
    access = online_emergency.find_access(connection, token.id)
    return TokenDetails(
        **vars(_view(token)),
        online_emergency=access.kind.value if access else "",
        online_emergency_expires=access.expires_at if access else None,
        devices=tuple(
            device.name for device in devices.devices_with_token(connection, token.id) if actor.sees(device.domain_id)
        ),
    )


def _history(connection: Connection, actor: Actor, token: Token, limit: int, before: int | None) -> list[NamedEvent]:
    within = actor.domains_with(Permission.TOKEN_VIEW)
    wanted = AuditFilter(token_id=token.id, domains=within)
    rows = audit_events.list_rows(connection, wanted, limit=limit, before=before)
    return with_names(connection, actor, rows)


def _verify_second_person(
    connection: Connection, actor: Actor, kind: OperatorAct, token: AssignedToken, now: int
) -> None:
    """Use up an approval if this act on a token of a user needs one."""
    account = accounts.find_account_by_id(connection, token.account_id)
    if account is None:
        raise LookupError("a token belongs to an account that is gone")
    usable = token.enabled and not token.lost and (token.expires_at is None or now < token.expires_at)
    asked = act_on(connection, kind, account.id, facts_of(token, ready=usable))
    verify_second_person(connection, actor, account, asked, now=now, subject=token)


def _with_pin(connection: Connection, actor: Actor, serial: str) -> AssignedToken:
    token = get_assigned_token(connection, actor, serial, Permission.PIN_SET)
    if not token.with_pin:
        raise Conflict(f"token {serial!r} is used without a PIN", "add a token with a PIN instead")
    return token


def find_locked(connection: Connection, find: Find[SomeToken]) -> SomeToken:
    """Return the token that `find` returns, read again under its user's lock.

    Raises Conflict if its user changed meanwhile.
    """
    before = find(connection)
    if before.account_id is None:
        return before
    accounts.lock_accounts(connection, [before.account_id])
    token = find(connection)
    if token.account_id != before.account_id:
        raise Conflict(f"token {token.serial!r} was changed in the meantime", "check it and try again")
    return token


def _free_serial(connection: Connection) -> str:
    while True:
        serial = f"SK{secrets.randbelow(10**_SERIAL_DIGITS):0{_SERIAL_DIGITS}d}"
        if tokens.find_token(connection, serial) is None:
            return serial


def _touched(connection: Connection, token: Token, actor: Actor, action: Action, now: int, **detail: Json) -> None:
    if token.account_id is not None:
        devices.raise_generation(connection, token.account_id)
    log(
        connection,
        now,
        actor,
        action,
        result=OK,
        account=token.account_id,
        token=token.id,
        device=None,
        serial=token.serial,
        **detail,
    )


def _view(token: Token) -> TokenView:
    """Return the public data of a token. A token without a domain is shown in the top domain."""
    return TokenView(
        serial=token.serial,
        type=token.type,
        login=token.login,
        digits=token.digits,
        interval=token.interval,
        algorithm=token.algorithm,
        with_pin=token.with_pin,
        pin_set=token.pin_sealed is not None,
        enabled=token.enabled,
        lost=token.lost,
        expires_at=token.expires_at,
        offline_code_online=token.offline_code_online,
        pin_must_change=token.pin_must_change,
        pin_set_at=token.pin_set_at,
        drift=token.drift,
        created_at=token.created_at,
        domain=token.domain or TOP_DOMAIN,
    )
