"""Answer a challenge of a sign-in: the second step of the same verification.

Rules: a challenge can be answered once, within two minutes, over the interface that asked it. The answer and all its
effects are saved in one transaction. Hashing happens before it, so that no other request waits for the only writer of
the database meanwhile.
"""

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.sign_in.challenges import as_asked, find_challenge
from sparekey.app.sign_in.pin_changes import ONE_FACTOR_SECONDS, former_pins, store_pin
from sparekey.app.sign_in.verification import (
    AfterGrant,
    SignInInterface,
    SignInResult,
    find_snapshot,
    lockout_of,
    save_effects,
)
from sparekey.core.audit_log.actions import Action
from sparekey.core.names import is_login
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.authenticate import Snapshot, TokenState
from sparekey.core.sign_in.challenge import NewPin, decide_answer
from sparekey.core.sign_in.outcome import Denied, Outcome
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from sparekey.storage.sign_in import challenges
from sparekey.storage.sign_in import statements as stored
from sparekey.storage.sign_in.challenges import StoredChallenge
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken

_GONE = Denied(Reason.NO_SUCH_CHALLENGE)


def answer_challenge(
    instance: Instance,
    interface: SignInInterface,
    login: str,
    reply_to: Secret[str],
    typed: Secret[str],
    now: int,
    *,
    after_grant: AfterGrant | None = None,
) -> SignInResult:
    """Verify the answer and save its effects. `after_grant` runs in the transaction of a success."""
    _, snapshot = find_snapshot(instance, interface, login, Secret(""), now)
    with instance.database.glance() as connection:
        challenge = find_challenge(connection, interface.actor, login, reply_to, now) if is_login(login) else None
        former = _former_pins(connection, instance, challenge)
    outcome = _decide(instance, snapshot, challenge, typed, former, now)
    with instance.database.write() as connection:
        if challenge is not None:
            # Lock the account first, as everywhere: so two transactions never deadlock.
            accounts.lock_accounts(connection, [challenge.account_id])
            if not challenges.consume_challenge(connection, challenge.id):
                outcome = _GONE  # it was answered meanwhile, or a change of its token deleted it
        if isinstance(outcome, NewPin):
            outcome = _set_pin(connection, instance, interface, snapshot, outcome, now)
        else:
            outcome = stored.commit(connection, outcome, now, lockout_of(snapshot), interface.group)
        return save_effects(connection, instance, interface, outcome, now, after_grant)


def _decide(
    instance: Instance,
    snapshot: Snapshot,
    challenge: StoredChallenge | None,
    typed: Secret[str],
    former: list[PinVerifier],
    now: int,
) -> Outcome | NewPin:
    token = _token_of(snapshot, challenge)
    if snapshot.account is None or challenge is None or challenge.account_id != snapshot.account.account_id:
        return _GONE
    if token is None:
        return _GONE  # the user no longer has the token
    return decide_answer(as_asked(instance, challenge), typed, snapshot.account, token, former, now)


def _token_of(snapshot: Snapshot, challenge: StoredChallenge | None) -> TokenState | None:
    if challenge is None:
        return None
    return next((token for token in snapshot.tokens if token.token_id == challenge.token_id), None)


def _former_pins(connection: Connection, instance: Instance, challenge: StoredChallenge | None) -> list[PinVerifier]:
    token = tokens.find_token_by_id(connection, challenge.token_id) if challenge is not None else None
    return former_pins(instance, token) if isinstance(token, AssignedToken) else []


def _set_pin(
    connection: Connection, instance: Instance, interface: SignInInterface, snapshot: Snapshot, new: NewPin, now: int
) -> Outcome:
    """Set the PIN if the sign-in may still be completed: the user may have been disabled or locked meanwhile."""
    outcome = stored.complete(connection, new.granted, now, lockout_of(snapshot), interface.group)
    if isinstance(outcome, Denied) or new.granted.token_id is None:
        return outcome
    token = tokens.find_token_by_id(connection, new.granted.token_id)
    if not isinstance(token, AssignedToken):
        raise LookupError("the token of a success is gone")  # noqa: TRY004 -- not about a type
    # If the token had a PIN, the user has typed it. If it had none, the user has shown one factor, the code.
    counts_from = token.pin_counts_from if token.pin_sealed is not None else now + ONE_FACTOR_SECONDS
    store_pin(connection, instance, token, new.pin, now, counts_from=counts_from)
    if new.granted.ends_emergency:
        stored.end_emergency(connection, token.id)
    interface.log(
        connection,
        now,
        Action.TOKEN_PIN_SET,
        account=token.account_id,
        token=token.id,
        serial=token.serial,
        by="the user",
        must_change=False,
    )
    return outcome
