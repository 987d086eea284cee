"""Put a PIN in place of another: history, time, and the generation of the user's offline data, in one transaction."""

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.notices import notify_user
from sparekey.app.snapshots import NO_PIN, open_pin_history, pin_of, seal_pin, seal_pin_history
from sparekey.core.notices import Notice
from sparekey.core.pins import PinVerifier
from sparekey.storage import devices, dialogues, tokens
from sparekey.storage.rows import AnyRow

LONGEST_HISTORY = 24  # the most that a token policy looks at


def store_pin(
    connection: Connection, instance: Instance, row: AnyRow, pin: PinVerifier, now: int, *, must_change: bool = False
) -> None:
    """The new PIN of an assigned token; `must_change`: its user is asked for another one at the next sign-in.

    The caller has the account's lock: an answer to a question about this token takes it first, too.
    """
    tokens.update_token(
        connection,
        row.id,
        **seal_pin(instance.vault, row.account_id, row.id, pin),
        **_history(instance, row),
        pin_set_at=now,
        pin_must_change=must_change,
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
    dialogues.delete_of_token(connection, row.id)
    devices.raise_generation(connection, row.account_id)
