"""Which version of each emergency code a device is given: made before it is needed, replaced when the rules say so."""

from collections.abc import Mapping

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log, new_id
from sparekey.app.snapshots import seal_code
from sparekey.core.authenticate import AccountState, TokenState
from sparekey.core.emergency import (
    CodeKind,
    CodeVersion,
    Contact,
    expiry,
    find_deliverable,
    groups_of,
    replaced_now,
)
from sparekey.core.events import Action
from sparekey.core.offline import DeviceState, token_obstacle
from sparekey.core.policy import EffectivePolicy
from sparekey.passcode import new_code
from sparekey.secret import Secret
from sparekey.storage import emergency_codes
from sparekey.storage.rows import AnyRow


def supply(
    connection: Connection,
    instance: Instance,
    account: AccountState,
    tokens: tuple[TokenState, ...],
    device: DeviceState,
    policy: EffectivePolicy,
    contact: Contact,
    now: int,
    *,
    used_token: str | None = None,
) -> Mapping[str, AnyRow]:
    """Settle the version of every code that the device should hold; rows of `emergency_code` by owner id.

    `used_token`: the one that signed in. It ends its own emergency and the passcode's, not that of another token.
    """
    owners: list[TokenState | None] = []
    if policy.values.emergency_tokencode:
        owners += [token for token in tokens if token_obstacle(token, device, policy, now) is None]
    if policy.values.emergency_passcode and tokens:
        owners.append(None)
    emergency_codes.lock_account(connection, account.account_id)
    supplied = {}
    for token in owners:
        owner_id = token.token_id if token else account.account_id
        theirs = token is not None and token.token_id != used_token
        weaker = Contact.OTHER_SIGN_IN if contact is Contact.TOKEN_SIGN_IN and theirs else contact
        code = _settle(connection, instance, account, token, device, policy, weaker, now)
        supplied[owner_id] = code
    return supplied


def _settle(
    connection: Connection,
    instance: Instance,
    account: AccountState,
    token: TokenState | None,
    device: DeviceState,
    policy: EffectivePolicy,
    contact: Contact,
    now: int,
) -> AnyRow:
    owner_id = token.token_id if token else account.account_id
    assigned = emergency_codes.find_device_code(connection, device.device_id, owner_id)
    rows = emergency_codes.versions(connection, account.account_id, token.token_id if token else None)
    current = next((row for row in rows if assigned and row.id == assigned.code_id), None)
    if current is not None and not replaced_now(_version(current), contact, now):
        return current
    deliverable = find_deliverable([_version(row) for row in rows], now)
    if deliverable is not None:
        code_id = deliverable.code_id
    else:
        version = max((row.version for row in rows), default=0) + 1
        code_id = _make(connection, instance, account, token, policy, version, now)
    emergency_codes.assign(connection, device.device_id, owner_id, account.account_id, code_id)
    if current is not None:
        log(
            connection, now, f"device:{device.device_id}", Action.EMERGENCY_REPLACED, account=account.account_id,
            token=token.token_id if token else None, device=device.device_id, old=current.version,
        )  # fmt: skip
    made = emergency_codes.find_code(connection, code_id)
    if made is None:
        raise LookupError("an emergency code vanished inside its own transaction")
    return made


def _make(
    connection: Connection,
    instance: Instance,
    account: AccountState,
    token: TokenState | None,
    policy: EffectivePolicy,
    version: int,
    now: int,
) -> str:
    """A new version, encrypted before it is anywhere else; its id."""
    code_id, token_id = new_id(), token.token_id if token else None
    kind = CodeKind.TOKENCODE if token else CodeKind.PASSCODE
    code = Secret(new_code(groups_of(kind, with_pin=token is not None and token.with_pin)))
    token_end = token.expires_at if token else None
    emergency_codes.insert_code(
        connection,
        {
            "id": code_id,
            "kind": kind,
            "token_id": token_id,
            "account_id": account.account_id,
            "version": version,
            "code_sealed": seal_code(instance.vault, code_id, account.account_id, token_id, code),
            "created_at": now,
            "not_after": expiry(now, policy.values.emergency_lifetime, token_end, account.expires_at),
        },
    )
    return code_id


def _version(row: AnyRow) -> CodeVersion:
    return CodeVersion(row.id, row.version, row.created_at, row.not_after, row.shown_at, row.used_at, row.reset_at)
