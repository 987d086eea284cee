"""Why a user has no emergency code on any device: the first rule that stands in the way, in a sentence."""

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.policies_in_force import account_state_of, effective_in
from sparekey.app.snapshots import token_state
from sparekey.core.offline import DeviceState, Obstacle, account_obstacle, token_obstacle
from sparekey.storage import accounts, devices, tokens
from sparekey.storage.rows import AnyRow


def device_state(row: AnyRow) -> DeviceState:
    """From a row of `device`."""
    return DeviceState(row.id, row.revoked_at is not None, row.supports_offline, row.hardware_bound)


def why_no_code(connection: Connection, instance: Instance, account_id: str, token_id: str | None, now: int) -> str:
    """A sentence with the way to mend it."""
    found = devices.devices_of_account(connection, account_id)
    if not found:
        return Obstacle.NO_TOKEN_USED
    return next(
        (
            obstacle
            for row in found
            if (obstacle := obstacle_on(connection, instance, account_id, token_id, row.device_id, now)) is not None
        ),
        Obstacle.NOT_DOWNLOADED,
    )


def obstacle_on(
    connection: Connection, instance: Instance, account_id: str, token_id: str | None, device_id: str, now: int
) -> Obstacle | None:
    """What keeps this code from this device: a token's tokencode, or the passcode where `token_id` is None."""
    account_row = accounts.find_account_by_id(connection, account_id)
    device_row = devices.find_device(connection, device_id)
    if account_row is None or device_row is None:
        return Obstacle.NO_TOKEN_USED
    policy = effective_in(connection, account_row.domain_id, device_row.domain_id)
    device = device_state(device_row)
    account = account_state_of(connection, account_row)
    obstacle = account_obstacle(account, device, policy, now)
    if obstacle is not None:
        return obstacle
    allowed = policy.values.emergency_passcode if token_id is None else policy.values.emergency_tokencode
    if not allowed:
        return Obstacle.EMERGENCY_OFF
    for row in tokens.tokens_on_device(connection, device_id, account_id):
        if row.token_id == token_id:
            return token_obstacle(token_state(instance.vault, row), device, policy, now)
    return None if token_id is None else Obstacle.NO_TOKEN_USED
