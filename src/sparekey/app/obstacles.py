"""Obstacles to emergency codes on devices: the first rule that prevents one, as a sentence."""

from typing import Protocol

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.policies_in_force import account_state_of, effective_in
from sparekey.app.snapshots import seedless_token
from sparekey.core.offline.units import DeviceState, Obstacle, code_obstacles
from sparekey.storage.devices import devices
from sparekey.storage.people import accounts
from sparekey.storage.tokens import tokens


class StoredDevice(Protocol):
    """The columns that `device_state` reads; rows of several queries have them."""

    @property
    def id(self) -> str: ...
    @property
    def revoked_at(self) -> int | None: ...
    @property
    def supports_offline(self) -> bool: ...
    @property
    def hardware_bound(self) -> bool: ...


def device_state(device: StoredDevice) -> DeviceState:
    """Return the device as the core decides on it."""
    return DeviceState(device.id, device.revoked_at is not None, device.supports_offline, device.hardware_bound)


def why_no_code(connection: Connection, instance: Instance, account_id: str, token_id: str | None, now: int) -> str:
    """Return the reason why the user has no code on any device, with the remedy."""
    found = devices.devices_of_account(connection, account_id)
    if not found:
        return Obstacle.NO_TOKEN_USED
    return next(
        (
            obstacle
            for device_id in found
            if (obstacle := obstacle_on(connection, instance, account_id, token_id, device_id, now)) is not None
        ),
        Obstacle.NOT_DOWNLOADED,
    )


def obstacle_on(
    connection: Connection, instance: Instance, account_id: str, token_id: str | None, device_id: str, now: int
) -> Obstacle | None:
    """Return the obstacle to this code on this device: a token's tokencode, or the passcode if `token_id` is None."""
    account_row = accounts.find_account_by_id(connection, account_id)
    device = devices.find_device(connection, device_id)
    if account_row is None or device is None:
        return Obstacle.NO_TOKEN_USED
    policy = effective_in(connection, account_row.domain_id, device.domain_id)
    account = account_state_of(connection, account_row)
    token, used_here = None, False
    if token_id is not None:
        stored = tokens.find_token_by_id(connection, token_id)
        if stored is None:
            return Obstacle.NO_TOKEN_USED
        token = seedless_token(instance.vault, stored)
        used_here = stored.account_id == account_id and devices.has_token(connection, device_id, token_id)
    return next(iter(code_obstacles(account, device_state(device), policy, token, now, used_here=used_here)), None)
