"""The offline key of a user on a device, generation by generation (offline-day.md, server rule 3).

Each generation has a new key, unless the device has not confirmed the last key. Then the last key is kept, so that a
secret that was wrapped under it in the meantime is never lost. `previous` in the units leads from a new key to the last
confirmed one.
"""

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.sealed import check_of, new_offline_key, seal_previous
from sparekey.secret import Secret
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import OfflineData

_CURRENT = "device_account.offline_key_sealed"
_CONFIRMED = "device_account.confirmed_key_sealed"


def begin(
    connection: Connection, instance: Instance, device_id: str, account_id: str, login: str, now: int
) -> OfflineData:
    """Start the user's offline data on this device, for the first time or after the data were dropped.

    The first generation is the current time. Safe because a device that remembers an earlier one then sees a higher
    one.
    """
    key = new_offline_key()
    devices.insert_device_account(
        connection,
        OfflineData(
            device_id=device_id,
            account_id=account_id,
            login=login,
            generation=now,
            offline_key_sealed=_seal(instance, device_id, account_id, key),
            check=check_of(key),
            confirmed_key_sealed=None,
            confirmed_check=None,
            stale=False,
            last_sign_in=now,
        ),
    )
    return _get(connection, device_id, account_id)


def settle_generation(connection: Connection, instance: Instance, data: OfflineData) -> OfflineData:
    """Choose the key of a generation that has risen. Return the user's offline data after the change."""
    if not data.stale:
        return data
    changes: dict[str, bytes | int | bool] = {"stale": False}
    if data.confirmed_check == data.check:
        key = new_offline_key()
        changes["offline_key_sealed"] = _seal(instance, data.device_id, data.account_id, key)
        changes["check"] = check_of(key)
    devices.update_device_account(connection, data.device_id, data.account_id, **changes)
    return _get(connection, data.device_id, data.account_id)


def confirm(connection: Connection, instance: Instance, data: OfflineData, check: bytes) -> None:
    """Note that a sign-in on the device opened the key of this check.

    From now on its secrets are wrapped under this key.
    """
    if check == data.check and check != data.confirmed_check:
        devices.update_device_account(
            connection,
            data.device_id,
            data.account_id,
            confirmed_key_sealed=_seal(
                instance, data.device_id, data.account_id, current_key(instance, data), column=_CONFIRMED
            ),
            confirmed_check=data.check,
        )


def key_for(instance: Instance, data: OfflineData, check: bytes) -> tuple[bytes, Secret[bytes]]:
    """Return (check, key): the confirmed key if `check` names it, otherwise the current key."""
    if check == data.confirmed_check and data.confirmed_key_sealed is not None:
        return data.confirmed_check, _open(instance, data, data.confirmed_key_sealed, _CONFIRMED)
    return data.check, current_key(instance, data)


def current_key(instance: Instance, data: OfflineData) -> Secret[bytes]:
    """Return the key of the current generation."""
    return _open(instance, data, data.offline_key_sealed, _CURRENT)


def previous_for(instance: Instance, data: OfflineData) -> bytes:
    """Return `previous` for the units: b"" if the last confirmed key is the current key, or if there is none."""
    if data.confirmed_key_sealed is None or data.confirmed_check == data.check:
        return b""
    confirmed = _open(instance, data, data.confirmed_key_sealed, _CONFIRMED)
    return seal_previous(current_key(instance, data), confirmed)


def _seal(instance: Instance, device_id: str, account_id: str, key: Secret[bytes], column: str = _CURRENT) -> bytes:
    return instance.vault.seal(column, f"{device_id}:{account_id}", f"account:{account_id}", key.reveal())


def _open(instance: Instance, data: OfflineData, sealed: bytes, column: str) -> Secret[bytes]:
    return instance.vault.open(column, f"{data.device_id}:{data.account_id}", f"account:{data.account_id}", sealed)


def _get(connection: Connection, device_id: str, account_id: str) -> OfflineData:
    data = devices.find_device_account(connection, device_id, account_id)
    if data is None:
        raise LookupError("this user has no offline data on this device")
    return data
