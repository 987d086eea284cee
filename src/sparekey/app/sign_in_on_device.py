"""Sign in online on a device: the common verification, and what a success settles there in the same transaction."""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.provisioning import DeviceKey, after_sign_in
from sparekey.app.sign_in import Door, sign_in
from sparekey.core.outcome import Granted, Outcome
from sparekey.secret import Secret
from sparekey.storage.rows import AnyRow


@dataclass(frozen=True)
class DeviceSignIn:
    outcome: Outcome
    key: DeviceKey  # empty unless granted


def sign_in_on_device(
    instance: Instance, device_row: AnyRow, login: str, typed: Secret[str], check: bytes, now: int
) -> DeviceSignIn:
    """`check` names the offline key under which the device keeps this user's secrets; b"": none yet."""
    keys: list[DeviceKey] = []

    def settle(connection: Connection, granted: Granted) -> None:
        keys.append(after_sign_in(connection, instance, device_row, granted, check, now))

    door = Door(f"device:{device_row.id}", device_row.id)
    outcome = sign_in(instance, door, login, typed, now, after_grant=settle)
    return DeviceSignIn(outcome, keys[0] if keys else DeviceKey())
