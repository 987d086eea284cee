"""Put a PIN in place of another: history, time, and the generation of the user's offline data, in one transaction.

Rules: a PIN that somebody chose who showed one factor only, the code alone or a session of one factor, proves no more
than that factor did. It opens every door, and counts as a second factor (`user_sessions.verify_two_factors`) when its
user, who was told of it, has had a day (S05).
"""

from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.notices import notify_user
from sparekey.app.snapshots import NO_PIN, open_pin_history, pin_of, seal_pin, seal_pin_history
from sparekey.core.audit_log.notices import Notice
from sparekey.core.sign_in.pins import PinVerifier
from sparekey.storage.devices import devices
from sparekey.storage.rows import AnyRow
from sparekey.storage.sign_in import challenges
from sparekey.storage.tokens import tokens

LONGEST_HISTORY = 24  # the most that a token policy looks at
ONE_FACTOR_SECONDS: Final = 86_400  # how long a PIN that one factor set is no second one


def store_pin(
    connection: Connection,
    instance: Instance,
    row: AnyRow,
    pin: PinVerifier,
    now: int,
    *,
    must_change: bool = False,
    counts_from: int | None,
) -> None:
    """The new PIN of an assigned token; `must_change`: its user is asked for another one at the next sign-in.
    `counts_from`: the unix second from which it is a second factor; None: from now on.

    The caller has the account's lock: an answer to a question about this token takes it first, too.
    """
    tokens.update_token(
        connection,
        row.id,
        **seal_pin(instance.vault, row.account_id, row.id, pin),
        **_history(instance, row),
        pin_set_at=now,
        pin_must_change=must_change,
        pin_counts_from=counts_from,
    )
    notify_user(connection, now, row.account_id, Notice.PIN_SET, serial=row.serial)
    _touched(connection, row)


def take_pin(connection: Connection, instance: Instance, row: AnyRow) -> None:
    """No PIN any more: the next tokencode alone leads to the question for a new one."""
    tokens.update_token(connection, row.id, **NO_PIN, **_history(instance, row), pin_set_at=None, pin_must_change=False)
    _touched(connection, row)


def former_pins(instance: Instance, row: AnyRow) -> list[PinVerifier]:
    """The present PIN, if there is one, and those before it."""
    present = pin_of(instance.vault, row)
    return [*([present] if present else []), *open_pin_history(instance.vault, row)]


def _history(instance: Instance, row: AnyRow) -> dict[str, bytes]:
    kept = former_pins(instance, row)[:LONGEST_HISTORY]
    return {"pin_history_sealed": seal_pin_history(instance.vault, row.account_id, row.id, kept)}


def _touched(connection: Connection, row: AnyRow) -> None:
    challenges.delete_of_token(connection, row.id)
    devices.raise_generation(connection, row.account_id)
