"""Replace a PIN: history, time, and the generation of the user's offline data, in one transaction.

Rules: a PIN that was chosen after a single factor (the code alone, or a session of one factor) proves no more than that
factor. It is accepted for sign-ins at once. It counts as a second factor (`sessions.users.verify_two_factors`) after a
day, because the user got a notice and has had time to object (S05).
"""

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log
from sparekey.app.notices import notify_user
from sparekey.app.snapshots import open_pin_history, pin_of, seal_pin, seal_pin_history
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.permissions import Actor
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.durations import DAY_SECONDS
from sparekey.storage.devices import devices
from sparekey.storage.sign_in import challenges
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken, PinColumns, Token

LONGEST_HISTORY = 24  # the most former PINs that a token policy compares
ONE_FACTOR_SECONDS: Final = (
    DAY_SECONDS  # the time after which a PIN that was set with one factor counts as a second one
)


def store_pin(
    connection: Connection,
    instance: Instance,
    token: AssignedToken,
    pin: PinVerifier,
    now: int,
    *,
    must_change: bool = False,
    counts_from: int | None,
) -> None:
    """Store the new PIN of an assigned token. `must_change`: the next sign-in asks its user for another PIN.

    `counts_from`: the unix second from which it is a second factor; None: from now on. The caller holds the account's
    lock, which the answer to a challenge about this token takes first, too.
    """
    columns = replace(
        seal_pin(instance.vault, token.account_id, token.id, pin),
        pin_history_sealed=_history(instance, token),
        pin_set_at=now,
        pin_must_change=must_change,
        pin_counts_from=counts_from,
    )
    tokens.set_pin(connection, token.id, columns)
    notify_user(connection, now, token.account_id, Notice.PIN_SET, serial=token.serial)
    _touched(connection, token)


def log_pin_set(
    connection: Connection, actor: Actor, token: AssignedToken, now: int, *, must_change: bool = False
) -> None:
    """Log that an operator, or a link for administrators, has set the PIN."""
    log(
        connection,
        now,
        actor,
        Action.TOKEN_PIN_SET,
        account=token.account_id,
        token=token.id,
        serial=token.serial,
        must_change=must_change,
    )


def take_pin(connection: Connection, instance: Instance, token: AssignedToken) -> None:
    """Remove the PIN: the next sign-in with the tokencode alone asks for a new one."""
    columns = PinColumns(pin_history_sealed=_history(instance, token), pin_counts_from=token.pin_counts_from)
    tokens.set_pin(connection, token.id, columns)
    _touched(connection, token)


def former_pins(instance: Instance, token: Token) -> list[PinVerifier]:
    """Return the present PIN, if there is one, and the former ones."""
    present = pin_of(instance.vault, token)
    return [*([present] if present else []), *open_pin_history(instance.vault, token)]


def _history(instance: Instance, token: AssignedToken) -> bytes:
    kept = former_pins(instance, token)[:LONGEST_HISTORY]
    return seal_pin_history(instance.vault, token.account_id, token.id, kept)


def _touched(connection: Connection, token: AssignedToken) -> None:
    challenges.delete_of_token(connection, token.id)
    devices.raise_generation(connection, token.account_id)
