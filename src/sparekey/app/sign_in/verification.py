"""Sign in: the one verification behind every interface of the server (architecture, rule 7).

It takes a snapshot, makes a pure decision, and then writes in one transaction: the conditional writes, the effects of
the interface, and the event. No answer is sent before that transaction is committed (rule 5, S06). Any error denies
(S09). A correct passcode may lead to a challenge first (`challenges`): the sign-in is granted only when it is answered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sparekey.app.audit import AuditEntry, append, row_of
from sparekey.app.instance import MICROSECONDS, Instance, log
from sparekey.app.sign_in.anonymous import count_refusal
from sparekey.app.sign_in.challenges import open_challenge
from sparekey.app.sign_in.code_use import log_use
from sparekey.app.sign_in.locks import counts_of, report_new_lock
from sparekey.app.snapshots import (
    code_state,
    online_emergency_state,
    open_online_code,
    sign_in_account_state,
    token_state,
)
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.names import is_login
from sparekey.core.policy.lockout import InterfaceGroup, LockoutPolicy
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.authenticate import Snapshot, TokenState, decide
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.core.sign_in.typed_text import TypedText, read_typed
from sparekey.json_value import Json
from sparekey.passcode import PasscodeKind
from sparekey.secret import Secret
from sparekey.storage.sign_in import statements as stored

AfterGrant = Callable[[Connection, Granted], None]


@dataclass(frozen=True)
class SignInInterface:
    """The interface of a sign-in, and the users for whom it may ask."""

    actor: str  # device:ID, client:ID, os:NAME
    device_id: str | None = None
    scope: frozenset[str] | None = None  # ids of domains; None: everyone
    two_factors: bool = False  # it refuses tokens without a PIN
    group: InterfaceGroup = InterfaceGroup.ELSEWHERE  # the count of failures that decides here

    def log(
        self,
        connection: Connection,
        now: int,
        action: Action,
        *,
        result: str = OK,
        account: str | None,
        token: str | None = None,
        **detail: Json,
    ) -> None:
        """Log an event of a sign-in at this interface, in the caller's transaction."""
        device = self.device_id
        log(connection, now, self.actor, action, result=result, account=account, token=token, device=device, **detail)


@dataclass(frozen=True)
class SignInResult:
    """An outcome that was saved; `reply_to` names the challenge, if the outcome is one."""

    outcome: Outcome
    reply_to: Secret[str] | None = None


def sign_in(
    instance: Instance,
    interface: SignInInterface,
    login: str,
    typed: Secret[str],
    now: int,
    *,
    after_grant: AfterGrant | None = None,
) -> SignInResult:
    """Verify the typed text and save the outcome. `after_grant` runs in the transaction of a success."""
    text, snapshot = find_snapshot(instance, interface, login, typed, now)
    outcome = decide(text, snapshot, now)
    policy = lockout_of(snapshot)
    if isinstance(outcome, Granted):
        instance.user_signed_in()
    if (
        isinstance(outcome, Granted)
        and after_grant is None
        and _accepted_at_once(instance, interface, outcome, snapshot, now)
    ):
        return SignInResult(outcome)
    with instance.database.write() as connection:
        outcome = stored.commit(connection, outcome, now, policy, interface.group)
        return save_effects(connection, instance, interface, outcome, now, after_grant)


def find_snapshot(
    instance: Instance, interface: SignInInterface, login: str, typed: Secret[str], now: int
) -> tuple[TypedText, Snapshot]:
    """Return the typed text as it can be read for this user, and the snapshot of the user."""
    with instance.database.glance() as connection:
        installed = instance.installed.at(connection, now)
        text = read_typed(typed, installed)
        # No user has an invalid login, and PostgreSQL rejects some of them as text.
        account = stored.find_sign_in_account(connection, login) if is_login(login) else None
        if account is None:
            return text, Snapshot(None)
        if interface.scope is not None and account.domain_id not in interface.scope:
            # A user outside the interface's scope does not exist for it: no guess is tested, none is counted.
            return text, Snapshot(None, absence=Reason.OUT_OF_SCOPE)
        kinds = text.reading.kinds
        codes = stored.codes_on_devices(connection, account.id) if PasscodeKind.EMERGENCY_TOKENCODE in kinds else ()
        online = stored.online_codes(connection, account.id) if account.in_emergency else ()
    if account.in_emergency:
        text = read_typed(typed, installed, online_emergency=True)
    tokens = tuple(_token_state(instance, interface, token, online) for token in account.tokens)
    known_codes = tuple(code_state(instance.vault, code) for code in codes)
    return text, Snapshot(sign_in_account_state(account, interface.group), tokens, known_codes)


def _token_state(
    instance: Instance, interface: SignInInterface, token: stored.SignInToken, online: Sequence[stored.OnlineCode]
) -> TokenState:
    codes = [(code.id, open_online_code(instance.vault, code)) for code in online if code.token_id == token.id]
    too_little = interface.two_factors and not token.with_pin
    state = token_state(instance.vault, token)
    return replace(state, emergency=online_emergency_state(token.emergency, codes), too_little=too_little)


def lockout_of(snapshot: Snapshot) -> LockoutPolicy:
    """Return the lockout policy of the account."""
    return snapshot.account.lockout if snapshot.account else LockoutPolicy()


def _accepted_at_once(
    instance: Instance, interface: SignInInterface, granted: Granted, snapshot: Snapshot, now: int
) -> bool:
    """Save the common case in one round trip to the database. False: nothing was saved; take the long way."""
    account = snapshot.account
    if granted.step is None or granted.ends_emergency or account is None or not account.failures.is_clear:
        return False
    granted = replace(granted, counts_version=account.counts_version)
    entry = row_of(_granted_entry(interface, granted, now))
    with instance.database.write_at_once() as connection:
        return stored.accept_at_once(connection, granted, now, entry)


def save_effects(
    connection: Connection,
    instance: Instance,
    interface: SignInInterface,
    outcome: Outcome,
    now: int,
    after_grant: AfterGrant | None,
) -> SignInResult:
    """Save the effects of an outcome in its transaction: those of the interface, a challenge, and the event."""
    reply_to = None
    if isinstance(outcome, Granted):
        log_use(connection, interface.actor, interface.device_id, outcome, now)
        if after_grant is not None:
            after_grant(connection, outcome)
    elif isinstance(outcome, Asked):
        if outcome.uses_code:
            log_use(connection, interface.actor, interface.device_id, outcome.granted, now)
        reply_to = open_challenge(connection, instance, interface.actor, outcome, now)
    _log_outcome(connection, instance, interface, outcome, now)
    return SignInResult(outcome, reply_to)


def _granted_entry(interface: SignInInterface, granted: Granted, now: int) -> AuditEntry:
    return AuditEntry(
        now * MICROSECONDS,
        interface.actor,
        Action.SIGN_IN_GRANTED,
        OK,
        granted.account_id,
        granted.token_id,
        interface.device_id,
        {"method": granted.method, "step": granted.step, **counts_of(granted)},
    )


def _log_outcome(
    connection: Connection, instance: Instance, interface: SignInInterface, outcome: Outcome, now: int
) -> None:
    match outcome:
        case Granted():
            append(connection, _granted_entry(interface, outcome, now))
            if outcome.ends_emergency:
                interface.log(
                    connection,
                    now,
                    Action.EMERGENCY_ENDED,
                    account=outcome.account_id,
                    token=outcome.token_id,
                    why="the token is available",
                )
        case Asked():
            granted = outcome.granted
            interface.log(
                connection,
                now,
                Action.SIGN_IN_ASKED,
                account=granted.account_id,
                token=granted.token_id,
                ask=outcome.ask,
                method=granted.method,
                step=granted.step,
            )
        case Denied():
            _log_denial(connection, instance, interface, outcome, now)


def _log_denial(
    connection: Connection, instance: Instance, interface: SignInInterface, denied: Denied, now: int
) -> None:
    # An unknown login is not logged, because it may be a PIN in the wrong field.
    if denied.account_id is None:
        count_refusal(connection, interface.actor, instance.source_prefixes, denied.reason, now)
        return
    interface.log(
        connection,
        now,
        Action.SIGN_IN_DENIED,
        result=denied.reason,
        account=denied.account_id,
        token=denied.token_id,
        **counts_of(denied),
    )
    if denied.counted and denied.reason is not Reason.LOCKED:
        report_new_lock(connection, interface.actor, denied.account_id, interface.group, now, interface.device_id)
