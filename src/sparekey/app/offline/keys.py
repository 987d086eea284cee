"""The offline key of a user on a device, generation by generation (offline-day.md, server rule 3).

Each generation has a new key, unless the device has not confirmed the last one: then that one is kept, so that a
secret wrapped under it in the meantime is never lost. `previous` in the units leads from a new key to the last
confirmed one.
"""

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.sealed import check_of, new_offline_key, seal_previous
from sparekey.secret import Secret
from sparekey.storage.devices import devices
from sparekey.storage.rows import AnyRow

_CURRENT = "device_account.offline_key_sealed"
_CONFIRMED = "device_account.confirmed_key_sealed"


def begin(connection: Connection, instance: Instance, device_id: str, account_id: str, login: str, now: int) -> AnyRow:
    """The user's first offline data on this device, or the first after they were dropped.

    The generation begins at the time, so that it has not fallen for a device that still remembers an earlier one.
    """
    key = new_offline_key()
    devices.insert_device_account(
        connection,
        {
            "device_id": device_id,
            "account_id": account_id,
            "login": login,
            "generation": now,
            "offline_key_sealed": _seal(instance, device_id, account_id, key),
            "check": check_of(key),
            "stale": False,
            "last_sign_in": now,
        },
    )
    return _get(connection, device_id, account_id)


def settle_generation(connection: Connection, instance: Instance, row: AnyRow) -> AnyRow:
    """Choose the key of a generation that has risen; `row` of device_account, as it is afterwards."""
    if not row.stale:
        return row
    changes: dict[str, object] = {"stale": False}
    if row.confirmed_check == row.check:
        key = new_offline_key()
        changes["offline_key_sealed"] = _seal(instance, row.device_id, row.account_id, key)
        changes["check"] = check_of(key)
    devices.update_device_account(connection, row.device_id, row.account_id, **changes)
    return _get(connection, row.device_id, row.account_id)


def confirm(connection: Connection, instance: Instance, row: AnyRow, check: bytes) -> None:
    """A sign-in on the device opened the key of this check: what it wraps from now on is under it."""
    if check == row.check and check != row.confirmed_check:
        devices.update_device_account(
            connection,
            row.device_id,
            row.account_id,
            confirmed_key_sealed=_seal(
                instance, row.device_id, row.account_id, current_key(instance, row), column=_CONFIRMED
            ),
            confirmed_check=row.check,
        )


def key_for(instance: Instance, row: AnyRow, check: bytes) -> tuple[bytes, Secret[bytes]]:
    """(check, key): the key that `check` names if it is the confirmed one, else the current one."""
    if check == row.confirmed_check and row.confirmed_key_sealed is not None:
        return row.confirmed_check, _open_confirmed(instance, row)
    return row.check, current_key(instance, row)


def current_key(instance: Instance, row: AnyRow) -> Secret[bytes]:
    """The key of this generation."""
    return _open(instance, row, row.offline_key_sealed, _CURRENT)


def previous_for(instance: Instance, row: AnyRow) -> bytes:
    """The units' `previous`: empty where the last confirmed key is this generation's own, or there is none."""
    if row.confirmed_key_sealed is None or row.confirmed_check == row.check:
        return b""
    return seal_previous(current_key(instance, row), _open_confirmed(instance, row))


def _open_confirmed(instance: Instance, row: AnyRow) -> Secret[bytes]:
    return _open(instance, row, row.confirmed_key_sealed, _CONFIRMED)


def _seal(instance: Instance, device_id: str, account_id: str, key: Secret[bytes], column: str = _CURRENT) -> bytes:
    return instance.vault.seal(column, f"{device_id}:{account_id}", f"account:{account_id}", key.reveal())


def _open(instance: Instance, row: AnyRow, sealed: bytes, column: str) -> Secret[bytes]:
    return instance.vault.open(column, f"{row.device_id}:{row.account_id}", f"account:{row.account_id}", sealed)


def _get(connection: Connection, device_id: str, account_id: str) -> AnyRow:
    row = devices.find_device_account(connection, device_id, account_id)
    if row is None:
        raise LookupError("this user has no offline data on this device")
    return row
